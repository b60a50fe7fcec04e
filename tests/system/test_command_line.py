# SPDX-License-Identifier: MIT
"""Options, exit statuses, signals, and the trace."""

import os
import re
import signal
import subprocess

import pytest

import modem
import servers


def test_help(start):
    daemon = start('--help')
    assert daemon.wait() == 0
    text = daemon.out.decode()
    assert daemon.err == b''
    for option in ('--pty', '--serial', '--tcp', '--unix', '--stdio', '--state', '--firmware', '--chip', '--ap', '--join',
                   '--iface', '--baud', '--count', '--trace', '--version', '--help', '--reset-on-open', '--no-state'):
        assert option in text, option
    assert max(len(line) for line in text.splitlines()) <= 100


def test_version(start, root):
    daemon = start('--version')
    assert daemon.wait() == 0
    header = (root / 'include/espat/config.h').read_text()
    version = re.search(r'#define ESPAT_VERSION\s+"([^"]+)"', header)[1]
    assert daemon.out.decode() == f'espat {version}\n'
    assert daemon.err == b''


@pytest.mark.parametrize('args', [
    ['--nonsense'], ['--pty', 'word'], ['--serial'], ['--tcp'], ['--tcp', 'x'], ['--tcp', '65536'], ['--tcp', ''],
    ['--tcp', 'no.such.host.name:80'], ['--unix', ''], ['--pty='], ['--pty', '--tcp', '8000'], ['--stdio', '--stdio'],
    ['--stdio', '--count', '0'], ['--pty', '--count', 'many'], ['--stdio', '--count', '2'], ['--pty=/tmp/x', '--count', '2'],
    ['--pty', '--count', '1000000'], ['--pty', '--baud', '0'], ['--pty', '--baud', 'fast'], ['--pty', '--baud', '-1'],
    ['--serial', '/dev/null', '--baud', '9600'], ['--pty', '--firmware', '0.0'], ['--pty', '--chip', 'z80'],
    ['--pty', '--ap', ''], ['--pty', '--ap', 'a,short'], ['--pty', '--ap', 'x' * 33], ['--pty', '--ap', 'a,,0'],
    ['--pty', '--ap', 'a,,1,5'], ['--pty', '--ap', 'a,,1,-50,more'], ['--pty', '--join', ''],
    ['--pty', '--join', 'a', '--join', 'b'], ['--pty', '--state', 'x', '--no-state'], ['--pty', '--state'],
], ids=' '.join)
def test_bad_usage(start, folder, args):
    """Status 2, one line on stderr that says what is wrong, nothing on stdout, nothing left behind."""
    daemon = start(*args)
    assert daemon.wait() == 2
    assert daemon.err.startswith(b'espat: ') and daemon.err.count(b'\n') == 1, daemon.err
    assert daemon.out == b''
    assert list(folder.iterdir()) == []


def test_no_transport_and_no_terminal(start):
    daemon = start()
    assert daemon.wait() == 2
    assert b'--pty' in daemon.err and daemon.out == b''


def test_no_transport_on_a_terminal(program, folder):
    """A modem to type to: the terminal's own line editing and echo, lines that end with Enter."""
    ours, theirs = os.openpty()
    process = subprocess.Popen([program, '--no-state'], stdin=theirs, stdout=theirs, stderr=subprocess.PIPE)
    try:
        port = modem.Modem(ours, ours, None)
        # Typed as soon as it answers: before it runs the terminal keeps what is typed.
        port.write(b'AT\n')
        port.take_until(b'OK\r')
        port.write(b'AT+CIPMUX?\n')
        port.take_until(b'+CIPMUX:0')
        port.take_until(b'OK\r')
        port.write(b'\x04')  # Ctrl-D on an empty line
        assert process.wait(15) == 0, process.stderr.read()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize('sig', [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals(start_pty, serve, sig):
    """Links are closed in order, the link of the PTY is gone, status 0."""
    sink = servers.Sink()
    daemon = start_pty()
    with modem.open_port(daemon.link) as port:
        port.prepare()
        port.connect('127.0.0.1', serve(sink).port)
        port.send(b'to the end')
        assert daemon.end(sig) == 0
    assert not os.path.lexists(daemon.link)
    assert sink.ended.wait(10)
    assert sink.count == 10
    assert daemon.err == b''


def test_signal_while_nobody_reads(start_pty, serve):
    def talk(connection):
        for piece in servers.stream(1, 8 << 20):
            connection.sendall(piece)

    daemon = start_pty()
    with modem.open_port(daemon.link) as port:
        port.prepare()
        port.connect('127.0.0.1', serve(talk).port)
        port.receive(0, 1000)
        assert daemon.end() == 0


def test_signal_keeps_a_foreign_link(start_pty):
    """Somebody else took the name meanwhile: it is theirs now."""
    daemon = start_pty()
    os.unlink(daemon.link)
    os.symlink('/dev/null', daemon.link)
    assert daemon.end() == 0
    assert os.readlink(daemon.link) == '/dev/null'


def test_pty_link_in_a_missing_folder(start, folder):
    daemon = start(f'--pty={folder}/no/such/modem', '--no-state')
    assert daemon.wait() == 1
    assert daemon.err.count(b'\n') == 1 and b'no/such' in daemon.err, daemon.err


def test_interface_is_missing(start):
    daemon = start('--pty', '--no-state', '--iface', 'nosuch0')
    assert daemon.wait() in (1, 2)
    assert daemon.err.count(b'\n') == 1 and b'nosuch0' in daemon.err, daemon.err


def test_interface_lo(start_pty):
    with modem.open_port(start_pty('--iface', 'lo').link) as port:
        port.prepare()
        assert b'+CIFSR:STAIP,"127.0.0.1"' in port.command('AT+CIFSR')


def test_access_points(start_pty):
    daemon = start_pty('--ap', 'open', '--ap', 'with\\,comma,secret123,6,-40', '--ap', 'other,password,11')
    with modem.open_port(daemon.link) as port:
        port.command('ATE0')
        port.command('AT+CWMODE=1')
        found = port.command('AT+CWLAP')
        assert len(found) == 3, found
        assert any(b'"with\\,comma"' in line or b'"with,comma"' in line for line in found)
        assert port.refused('AT+CWJAP="other","wrongpass"', timeout=20) == [b'+CWJAP:2']
        assert port.refused('AT+CWJAP="nowhere","password"', timeout=20) == [b'+CWJAP:3']
        assert port.command('AT+CWJAP="with\\,comma","secret123"') == [b'WIFI CONNECTED', b'WIFI GOT IP']
        port.command('AT+CWJAP="open",""')


def test_join_at_start(start_pty):
    daemon = start_pty('--ap', 'net,password', '--join', 'net,password')
    with modem.open_port(daemon.link) as port:
        port.command('ATE0')
        port.poll('AT+CWSTATE?', b'+CWSTATE:2,"net"')


@pytest.mark.parametrize('chip', ['host', 'esp32', 'esp32s2', 'esp8266'])
def test_chips(start_pty, chip):
    with modem.open_port(start_pty('--chip', chip).link) as port:
        port.command('ATE0')
        version = port.command('AT+GMR')
        assert re.match(rb'AT version:\d+\.\d+\.\d+\.\d+\(.* - ESP[^ ]* - ', version[0]), version


def test_trace(start_pty, serve, folder):
    """One line a record: a time, a sign, escaped bytes; why a command was refused."""
    file = folder / 'trace'
    daemon = start_pty(f'--trace={file}')
    with modem.open_port(daemon.link) as port:
        port.prepare()
        port.connect('127.0.0.1', serve(servers.echo).port)
        port.send(b'\x00\xff\n')
        port.receive(0, 3)
        port.refused('AT+CIPMUX=7')
    assert daemon.end() == 0
    text = file.read_text('ascii')
    assert re.search(r'> "\\x00\\xff\\n"\n|> "\\0\\xff\\n"\n', text), text
    for line in text.splitlines():
        assert re.match(r' *\d+\.\d+ [<>*!] ', line), line
    assert re.search(r'> "AT\+CIPMUX=7\\r\\n"\n.*! .+\n', text), text


def test_trace_on_stderr(start_pty):
    daemon = start_pty('--trace')
    with modem.open_port(daemon.link) as port:
        port.command('ATE0')
    daemon.wait_until(lambda: rb'> "ATE0\r\n"' in daemon.err, 'the trace')


def test_trace_file_cannot_be_opened(start, folder):
    daemon = start('--pty', '--no-state', f'--trace={folder}/no/such/file')
    assert daemon.wait() == 1
    assert daemon.err.count(b'\n') == 1, daemon.err


def test_full_standard_output_does_not_stop_it(start, folder):
    """Where it would say that it is ready, nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    daemon = start(f'--pty={folder / "modem"}', '--no-state', stdin=subprocess.PIPE, stdout=writing)
    os.close(writing)
    daemon.wait_until(lambda: os.path.exists(folder / 'modem'), 'it runs')
    with modem.open_port(folder / 'modem') as port:
        port.command('ATE0')

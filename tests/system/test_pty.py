# SPDX-License-Identifier: MIT
"""The pseudo-terminal: it lives as long as the process, whatever host programs do to it."""

import hashlib
import os
import random
import signal
import time

import pytest

import modem
import servers

SEED = int(os.environ.get('ESPAT_SEED', '0')) or int.from_bytes(os.urandom(4), 'big')


def test_link_lives_as_long_as_the_process(start_pty):
    daemon = start_pty()
    assert os.path.islink(daemon.link)
    target = os.readlink(daemon.link)
    for _ in range(3):
        with modem.open_port(daemon.link) as port:
            port.command('ATE0')
        assert os.readlink(daemon.link) == target
    assert daemon.end() == 0
    assert not os.path.lexists(daemon.link)


def test_without_a_link_it_says_where_it_is(start):
    daemon = start('--pty', '--no-state')
    daemon.wait_until(lambda: b'/dev/pts/' in daemon.out, 'the name of the PTY')
    name = daemon.out[daemon.out.index(b'/dev/pts/'):].split()[0].decode().rstrip('.,:;')
    with modem.open_port(name) as port:
        port.command('ATE0')


def test_stale_link_is_replaced(start_pty, folder):
    os.symlink('/dev/pts/nothing', folder / 'modem')
    daemon = start_pty()
    daemon.wait_until(lambda: os.path.exists(daemon.link), 'the link')
    with modem.open_port(daemon.link) as port:
        port.command('ATE0')


def test_file_in_the_place_of_the_link_is_kept(start, folder):
    (folder / 'modem').write_text('mine')
    daemon = start(f'--pty={folder / "modem"}', '--no-state')
    assert daemon.wait() == 1
    assert daemon.err.count(b'\n') == 1 and b'modem' in daemon.err
    assert (folder / 'modem').read_text() == 'mine'


def test_open_and_close_many_times(start_pty):
    """State stays; every program gets its answer, from the first byte on."""
    daemon = start_pty()
    with modem.open_port(daemon.link) as port:
        port.prepare(mux=True)
    for i in range(100):
        with modem.open_port(daemon.link) as port:
            assert port.command('AT+CIPMUX?') == [b'+CIPMUX:1'], f'opened for the {i}. time'


def test_links_outlive_the_host_program(start_pty, serve):
    daemon = start_pty()
    server = serve(servers.echo)
    with modem.open_port(daemon.link) as port:
        port.prepare()
        port.connect('127.0.0.1', server.port)
    with modem.open_port(daemon.link) as port:
        assert b'STATUS:3' in port.command('AT+CIPSTATUS')
        port.send(b'still here')
        port.receive(0, 10)


def test_two_programs_at_once(start_pty):
    """One that comes and goes takes nothing from one that stays."""
    daemon = start_pty()
    with modem.open_port(daemon.link) as stays:
        stays.prepare()
        for _ in range(10):
            fd = os.open(daemon.link, os.O_RDWR | os.O_NOCTTY)
            os.close(fd)
            stays.command('AT')


def test_unread_output_is_discarded(start_pty):
    """What a program left unread is gone when the next one opens it, also what stood in the kernel."""
    daemon = start_pty('--trace')

    def closed():
        return daemon.err.count(b'the host closed')

    with modem.open_port(daemon.link) as port:
        port.command('ATE0')
        port.portion = 20
        port.write(b'AT+CMD?\r\n')
        port.take(20)
        before = closed()
    daemon.wait_until(lambda: closed() > before and daemon.sleeps(), 'the close is dealt with')
    with modem.open_plain(daemon.link) as port:
        port.write(b'AT+CIPMUX?\r\n')
        assert port.take_until(b'OK\r\n') == b'+CIPMUX:0\r\n\r\nOK\r\n'


def test_closed_while_data_comes(start_pty, serve):
    """What nobody reads is gone, as on a wire; the modem does not stall on it."""
    count = 4 << 20
    sent = []

    def talk(connection):
        for piece in servers.stream(1, count):
            connection.sendall(piece)
            sent.append(len(piece))

    daemon = start_pty()
    with modem.open_port(daemon.link) as port:
        port.prepare()
        port.connect('127.0.0.1', serve(talk).port)
        port.receive(0, 5000)
    daemon.wait_until(lambda: sum(sent) == count, 'the rest flows to nobody', timeout=10)
    with modem.open_port(daemon.link) as port:
        port.quiet(0.3)
        port.command('AT')


def test_closed_in_the_middle_of_a_send(start_pty, serve):
    """The modem waits for the rest of the data; the next program brings it."""
    sink = servers.Sink()
    daemon = start_pty()
    data = os.urandom(2048)
    with modem.open_port(daemon.link) as port:
        port.prepare()
        port.connect('127.0.0.1', serve(sink).port)
        port.begin_send(len(data))
        port.write(data[:1000])
    with modem.open_port(daemon.link) as port:
        port.write(data[1000:])
        assert port.wait_for(b'SEND OK') == [b'Recv 2048 bytes', b'SEND OK']
        sink.wait_for(2048)
        port.command('AT+CIPCLOSE')
    assert sink.ended.wait(10)
    assert sink.count == 2048
    assert sink.digest.hexdigest() == hashlib.sha256(data).hexdigest()


def test_closed_in_the_middle_of_a_line(start_pty):
    daemon = start_pty()
    with modem.open_port(daemon.link) as port:
        port.command('ATE0')
        port.write(b'AT+CIP')
    with modem.open_port(daemon.link) as port:
        port.write(b'MUX?\r\n')
        assert port.wait_for(b'OK', b'ERROR') == [b'+CIPMUX:0', b'OK']


def test_reset_on_open(start_pty, serve):
    sink = servers.Sink()
    daemon = start_pty('--reset-on-open')
    server = serve(sink)
    for _ in range(3):
        sink.ended.clear()
        with modem.open_plain(daemon.link) as port:
            port.take_until(b'\r\nready\r\n')
            port.prepare(mux=True)
            port.connect('127.0.0.1', server.port, 2)
    with modem.open_plain(daemon.link) as port:
        port.take_until(b'\r\nready\r\n')
        assert sink.ended.wait(10), 'the restart left its link open'
        port.write(b'AT+CIPMUX?\r\n')
        # Echo is on again and the mode forgotten: it restarted.
        assert b'AT+CIPMUX?\r\n+CIPMUX:0\r\n' in port.take_until(b'\r\nOK\r\n')


def test_reset_on_open_in_a_hurry(start_pty):
    """Closed and opened again while the daemon has no time to look, at any moment: still a restart for each."""
    rng = random.Random(SEED)
    daemon = start_pty('--reset-on-open')
    port = modem.open_plain(daemon.link)
    for turn in range(1500):
        try:
            port.take_until(b'\r\nready\r\n', timeout=3)
        except modem.Late:
            pytest.fail(f'no restart, ESPAT_SEED={SEED}, turn {turn}')
        stopped = rng.random() < 0.5
        port.close()
        spin = time.monotonic() + rng.uniform(0, 0.0002)
        while time.monotonic() < spin:
            pass
        if stopped:
            daemon.process.send_signal(signal.SIGSTOP)
        for _ in range(rng.randrange(3)):
            modem.open_plain(daemon.link).close()
        port = modem.open_plain(daemon.link)
        if stopped:
            daemon.process.send_signal(signal.SIGCONT)
    port.close()


@pytest.mark.parametrize('form', ['open', 'never opened'])
def test_idle_pty_without_a_reader_does_not_stall(start_pty, form):
    """Messages to nobody: the modem is there when somebody comes."""
    daemon = start_pty('--join', 'net', '--trace')
    if form == 'open':
        modem.open_port(daemon.link).close()
    daemon.wait_until(lambda: b'* address ' in daemon.err, 'it has joined, and said so')
    with modem.open_port(daemon.link) as port:
        port.command('ATE0')
        port.poll('AT+CWSTATE?', b'+CWSTATE:2,"net"')

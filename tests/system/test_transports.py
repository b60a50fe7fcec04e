# SPDX-License-Identifier: MIT
"""TCP, UNIX, stdio, serial lines, several modems, and the pace of a line."""

import fcntl
import os
import re
import socket
import struct
import subprocess
import termios
import time
import tty

import pytest

import modem
import servers


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def connected(daemon, address):
    """A modem on a socket, as soon as the daemon listens."""
    found = []

    def attempt():
        try:
            found.append(modem.open_socket(address))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        return True

    daemon.wait_until(attempt, f'{address} is served')
    return found[0]


def talk(port, serve):
    """A short session over any transport, with every byte value both ways."""
    data = bytes(range(256)) * 8
    got = bytearray()
    port.sinks[0] = got.extend
    port.prepare()
    port.connect('127.0.0.1', serve(servers.echo).port)
    port.send(data)
    port.receive(0, len(data))
    assert bytes(got) == data
    port.command('AT+CIPCLOSE')


# ---------------------------------------------------------------- sockets

@pytest.mark.parametrize('form', ['{}', '127.0.0.1:{}', 'localhost:{}'])
def test_tcp(start, serve, form):
    number = free_port()
    daemon = start('--tcp', form.format(number), '--no-state')
    with connected(daemon, ('127.0.0.1', number)) as port:
        talk(port, serve)
    with connected(daemon, ('127.0.0.1', number)) as port:
        port.command('AT')


def test_tcp_any_free_port_is_said(start):
    daemon = start('--tcp', '127.0.0.1:0', '--no-state')
    daemon.wait_until(lambda: re.search(rb'127\.0\.0\.1:(\d+)', daemon.out), 'the address')
    number = int(re.search(rb'127\.0\.0\.1:(\d+)', daemon.out)[1])
    with connected(daemon, ('127.0.0.1', number)) as port:
        port.command('ATE0')


def test_tcp_port_in_use(start):
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        s.listen()
        daemon = start('--tcp', s.getsockname()[1], '--no-state')
        assert daemon.wait() == 1
        assert daemon.err.count(b'\n') == 1, daemon.err


def test_unix(start, serve, folder):
    path = folder / 'at.sock'
    daemon = start('--unix', path, '--no-state')
    for _ in range(2):
        with connected(daemon, path) as port:
            talk(port, serve)
    assert daemon.end() == 0
    assert not path.exists()


def test_unix_stale_socket_is_replaced(start, folder):
    path = folder / 'at.sock'
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(path))
    daemon = start('--unix', path, '--no-state')
    with connected(daemon, path) as port:
        port.command('ATE0')


# ---------------------------------------------------------------- stdio

def stdio(start, *args):
    daemon = start('--stdio', '--no-state', *args, stdin=subprocess.PIPE)
    process = daemon.process
    return daemon, modem.Modem(process.stdout.fileno(), process.stdin.fileno(), None)


def test_stdio(start, serve):
    daemon, port = stdio(start)
    talk(port, serve)
    daemon.process.stdin.close()
    assert daemon.wait() == 0


def test_stdio_end_of_input_waits_for_the_answers(start, program, folder):
    """What was asked before the end of the input is answered before the end of the output."""
    daemon = start('--stdio', '--no-state', stdin=subprocess.PIPE)
    daemon.process.stdin.write(b'AT+CWMODE=1\r\n')
    daemon.process.stdin.flush()
    port = modem.Modem(daemon.process.stdout.fileno(), daemon.process.stdout.fileno(), None)
    port.take_until(b'\r\nOK\r\n')
    daemon.process.stdin.write(b'AT+CWJAP="net","password"\r\n')
    daemon.process.stdin.close()
    text = port.take_until(b'\r\nOK\r\n')
    assert b'WIFI GOT IP\r\n' in text
    assert daemon.wait() == 0
    port.quiet(0.05)
    assert port.at_end


def test_stdio_output_closed(start):
    """A reader that goes away ends it: nobody can be answered any more."""
    daemon = start('--stdio', '--no-state', stdin=subprocess.PIPE)
    daemon.process.stdout.close()
    daemon.process.stdout = None
    try:
        daemon.process.stdin.write(b'AT\r\n')
        daemon.process.stdin.flush()
    except BrokenPipeError:
        pass
    assert daemon.wait() in (0, 1)


# ---------------------------------------------------------------- serial

@pytest.fixture
def line():
    """A serial line whose far end is ours: (descriptor of our end, path of the modem's)."""
    ours, theirs = os.openpty()
    tty.setraw(ours)
    yield ours, os.ttyname(theirs), theirs
    os.close(ours)
    os.close(theirs)


def speed(fd):
    """The rate of a line, also one that has no name: struct termios2 of Linux."""
    packed = fcntl.ioctl(fd, 0x802c542a, bytes(44))  # TCGETS2
    return struct.unpack('=4IB19s2I', packed)[7]


def test_serial(start, serve, line):
    ours, path, theirs = line
    daemon = start('--serial', path, '--no-state')
    port = modem.Modem(ours, ours, None)
    daemon.wait_until(lambda: speed(theirs) == 115200 and daemon.out, 'the line is set')
    talk(port, serve)


def test_serial_rate(start, line):
    """Named on the command line, then changed by the host; the answer still comes at the old rate."""
    ours, path, theirs = line
    daemon = start('--serial', f'{path}:19200', '--no-state')
    port = modem.Modem(ours, ours, None)
    daemon.wait_until(lambda: speed(theirs) == 19200, '19200 Baud')
    port.command('ATE0')
    port.command('AT+UART_CUR=57600,8,1,0,0')
    daemon.wait_until(lambda: speed(theirs) == 57600, '57600 Baud')
    port.command('AT')
    port.command('AT+UART_CUR=115200,7,3,2,0')
    daemon.wait_until(lambda: speed(theirs) == 115200, '115200 Baud')
    flags = termios.tcgetattr(theirs)[2]
    assert flags & termios.CSIZE in (termios.CS7, termios.CS8)  # a PTY may refuse 7 bits
    assert flags & termios.CSTOPB and not flags & termios.PARODD


def test_serial_device_is_missing(start, folder):
    daemon = start('--serial', folder / 'nothing', '--no-state')
    assert daemon.wait() == 1
    assert daemon.err.count(b'\n') == 1 and b'nothing' in daemon.err


def test_serial_device_goes_away(start):
    ours, theirs = os.openpty()
    tty.setraw(ours)
    daemon = start('--serial', os.ttyname(theirs), '--no-state')
    daemon.wait_until(lambda: daemon.out, 'it runs')
    os.close(theirs)
    with modem.Modem(ours, ours, None) as port:
        port.command('ATE0')
    os.close(ours)
    assert daemon.wait() == 1
    assert daemon.err.count(b'\n') == 1, daemon.err


# ---------------------------------------------------------------- several

def test_count_pty(start, folder, serve):
    daemon = start(f'--pty={folder}/at%d', '--count', 5, '--no-state')
    paths = [folder / f'at{i}' for i in range(5)]
    daemon.wait_until(lambda: all(path.exists() for path in paths), 'five PTYs')
    server = serve(servers.echo)
    ports = [modem.open_port(path) for path in paths]
    macs = set()
    for i, port in enumerate(ports):
        port.prepare()
        port.command(f'AT+CWHOSTNAME="host{i}"')
        port.connect('127.0.0.1', server.port)
        macs.add(port.command('AT+CIPSTAMAC?')[0])
    assert len(macs) == 5, macs
    for i, port in enumerate(ports):
        got = bytearray()
        port.sinks[0] = got.extend
        port.send(b'this is %d' % i)
        port.receive(0, 9)
        assert got == b'this is %d' % i
        assert port.command('AT+CWHOSTNAME?') == [b'+CWHOSTNAME:host%d' % i]
        port.close()
    assert daemon.end() == 0
    assert not any(os.path.lexists(path) for path in paths)


def test_count_sockets(start, folder):
    daemon = start('--unix', f'{folder}/s%d', '--count', 5, '--no-state')
    for i in range(5):
        with connected(daemon, folder / f's{i}') as port:
            port.command('ATE0')


def test_settings_of_several_modems_are_apart(start, folder):
    args = (f'--pty={folder}/at%d', '--count', 3, '--state', folder / 'state')
    paths = [folder / f'at{i}' for i in range(3)]
    daemon = start(*args)
    daemon.wait_until(lambda: all(path.exists() for path in paths), 'three PTYs')
    for i, path in enumerate(paths):
        with modem.open_port(path) as port:
            port.command('ATE0')
            port.command(f'AT+SYSMSG={i}')
    assert daemon.end() == 0
    daemon = start(*args)
    daemon.wait_until(lambda: all(path.exists() for path in paths), 'three PTYs')
    for i, path in enumerate(paths):
        with modem.open_port(path) as port:
            port.command('ATE0')
            assert port.command('AT+SYSMSG?') == [b'+SYSMSG:%d' % i]


# ---------------------------------------------------------------- pace

def rate_of_input_and_output(port, server_data, seconds, rate):
    """Bytes a second, measured: to the host, from the host."""
    want = int(rate * seconds)
    port.connect('127.0.0.1', server_data(want + 2000).port)
    port.receive(0, 200)
    # The clock starts with bytes that have come and ends with others: what was on its way does not count.
    port.read(1)
    begun, first = time.monotonic(), total(port)
    while total(port) - first < want - 400:
        port._next()
        assert port.read(2), 'the stream stopped'
    ended = time.monotonic()
    port._next()
    outgoing = (total(port) - first) / (ended - begun)
    port.receive(0, want + 2000, timeout=20)
    return outgoing


def total(port):
    """Every byte that came, looked at or not."""
    return port.counted


class Counting(modem.Modem):
    counted = 0

    def read(self, timeout):
        before = len(self.pending)
        come = super().read(timeout)
        if come:
            self.counted += len(self.pending) - before
        return come


def counting(path):
    port = modem.open_port(path)
    return Counting(port.reading, port.writing, port.close)


def flood(count):
    def talk(connection):
        connection.sendall(bytes(count))
        while connection.recv(65536):
            pass
    return talk


def upload_rate(port, size):
    port.begin_send(size)
    begun = time.monotonic()
    port.write(bytes(size))
    assert not port.pending and port.read(20), 'no answer to the data'
    seconds = time.monotonic() - begun  # to the first byte of "Recv": the others have their own pace
    port.wait_for(b'SEND OK')
    return size / seconds


def test_baud(start_pty, serve, figure):
    daemon = start_pty('--baud', 9600)
    with counting(daemon.link) as port:
        port.prepare()
        assert port.command('AT+UART_CUR?')[0].startswith(b'+UART_CUR:9600,')
        outgoing = rate_of_input_and_output(port, lambda n: serve(flood(n)), 4, 960)
        incoming = upload_rate(port, 2048)
        figure(f'--baud 9600: {outgoing:.1f} bytes/s to the host ({outgoing / 9.6 - 100:+.2f} %), '
               f'{incoming:.1f} from it ({incoming / 9.6 - 100:+.2f} %)')
        assert abs(outgoing / 960 - 1) < 0.02
        assert abs(incoming / 960 - 1) < 0.02
        port.command('AT+CIPCLOSE')

        port.command('AT+UART_CUR=38400,8,1,0,0')
        outgoing = rate_of_input_and_output(port, lambda n: serve(flood(n)), 2, 3840)
        incoming = upload_rate(port, 2048)
        figure(f'AT+UART_CUR=38400: {outgoing:.1f} bytes/s to the host ({outgoing / 38.4 - 100:+.2f} %), '
               f'{incoming:.1f} from it ({incoming / 38.4 - 100:+.2f} %)')
        assert abs(outgoing / 3840 - 1) < 0.02
        assert abs(incoming / 3840 - 1) < 0.04  # half a second: a late timer weighs more


def test_without_baud_there_is_no_pace(start_pty):
    """A host's UART_CUR on a PTY is only remembered."""
    with modem.open_port(start_pty().link) as port:
        port.command('ATE0')
        port.command('AT+UART_CUR=300,8,1,0,0')
        begun = time.monotonic()
        port.command('AT+CMD?')
        assert time.monotonic() - begun < 2

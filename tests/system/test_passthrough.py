# SPDX-License-Identifier: MIT
"""Raw bytes both ways, in amounts, with slow sides, over bad networks and restarts; and +++ that means what it says."""

import hashlib
import os
import random
import select
import threading
import time
import types

import pytest

import modem
import namespaces
import servers

MIB = 1 << 20
SEED = 20210206


class Duplex:
    """A server's side: from the first byte on that comes, it gives its stream.

    `slow` pauses between two counts of bytes taken."""

    def __init__(self, seed, count, slow=(0, 0)):
        self.seed, self.count, self.slow = seed, count, slow
        self.digest, self.taken = hashlib.sha256(), 0
        self.begun = threading.Event()  # before the prompt the host could not tell raw bytes from answers

    def __call__(self, connection):
        giver = threading.Thread(target=self._give, args=(connection,), daemon=True)
        giver.start()
        while True:
            slow = self.slow[0] <= self.taken < self.slow[1]
            if slow:
                time.sleep(0.001)  # that is what it is to be slow
            try:
                piece = connection.recv(4096 if slow else servers.CHUNK)
            except OSError:
                break
            if not piece:
                break
            self.digest.update(piece)
            self.taken += len(piece)
            self.begun.set()
        giver.join(30)

    def _give(self, connection):
        self.begun.wait(30)
        for piece in servers.stream(self.seed, self.count):
            connection.sendall(piece)


def both_ways(port, pieces, count, slow=(0, 0), timeout=50):
    """Writes all pieces and takes `count` bytes; the host pauses between two counts of bytes taken. Gives their SHA-256."""
    digest, taken, view = hashlib.sha256(), 0, memoryview(b'')
    end = time.monotonic() + timeout
    more = iter(pieces)
    taken += len(port.pending)
    digest.update(port.pending)
    port.pending.clear()
    while True:
        if not view:
            view = memoryview(next(more, b''))
        if not view and taken >= count:
            return digest.hexdigest()
        left = end - time.monotonic()
        assert left > 0, f'{taken} of {count} bytes came; {len(view)} of the last piece are left'
        readable, writable, _ = select.select([port.reading], [port.writing] if view else [], [], left)
        if writable:
            try:
                view = view[os.write(port.writing, view[:16384]):]
            except BlockingIOError:
                pass
        if readable:
            is_slow = slow[0] <= taken < slow[1]
            if is_slow:
                time.sleep(0.001)
            piece = os.read(port.reading, 2048 if is_slow else 65536)
            assert piece, 'the modem went away'
            digest.update(piece)
            taken += len(piece)


def start_passthrough(host, address, port):
    host.command('AT+SYSMSG=1')
    host.command('AT+CIPMODE=1')
    host.connect(address, port)
    host.enter_passthrough()


def move(host, connect_port, size, side, slow_part=0, timeout=50):
    """`size` bytes each way at once, SHA-256 compared; each side is slow in turn for `slow_part` bytes."""
    start_passthrough(host, '127.0.0.1', connect_port)
    digest = both_ways(host, servers.stream(SEED, size), size, (size // 4, size // 4 + slow_part), timeout)
    assert digest == servers.sha256_of(servers.stream(SEED + 1, size)), 'to the host'
    end = time.monotonic() + 20
    while side.taken < size:
        assert time.monotonic() < end, f'{side.taken} of {size} bytes came to the server'
        time.sleep(0.005)
    assert side.taken == size
    assert side.digest.hexdigest() == servers.sha256_of(servers.stream(SEED, size)), 'from the host'
    assert host.leave_passthrough() == b''
    host.command('AT+CIPMODE=0')
    host.command('AT+CIPCLOSE')


@pytest.mark.limit(180)
def test_64_mib_each_way(open_modem, release, serve, figure):
    size, slow = 64 * MIB, 2 * MIB
    side = Duplex(SEED + 1, size, (size // 2, size // 2 + slow))
    host = open_modem(program=release)
    begun = time.monotonic()
    move(host, serve(side, receive_buffer=65536).port, size, side, slow, timeout=150)
    figure(f'64 MiB each way at once in passthrough, each side slow for {slow >> 20} MiB: '
           f'{2 * size / (time.monotonic() - begun) / 1e6:.1f} MB/s')


def test_16_mib_each_way(host, serve):
    size = 16 * MIB
    side = Duplex(SEED + 1, size, (size // 2, size // 2 + MIB // 4))
    move(host, serve(side, receive_buffer=8192).port, size, side, MIB // 4)


def test_over_a_network_that_delays(host, serve):
    """A proxy in between holds each byte for 50 ms and cuts the stream anew."""
    size = MIB
    side = Duplex(SEED + 1, size)
    proxy = servers.DelayingProxy(serve(side).port, 0.05)
    try:
        move(host, proxy.port, size, side)
    finally:
        proxy.close()


def test_over_a_network_that_loses_packets(open_modem, wire, program, folder):
    """One packet in 20 is dropped at random on each side; TCP mends it, and nobody sees it."""
    size = MIB // 2
    for side in (wire.modem, wire.peer):
        wire.filter(side, 'numgen random mod 20 == 0 counter drop')
    host = open_modem('--iface', 'wire', program=[*wire.exec_words(wire.modem), program])
    side = Duplex(SEED + 1, size)
    server = servers.TcpServer(side, address=namespaces.PEER, inside=wire.inside(wire.peer))
    try:
        start_passthrough(host, namespaces.PEER, server.port)
        assert both_ways(host, servers.stream(SEED, size), size) == servers.sha256_of(servers.stream(SEED + 1, size))
        host.daemon.wait_until(lambda: side.taken >= size, 'all comes to the server', 30)
        assert side.digest.hexdigest() == servers.sha256_of(servers.stream(SEED, size))
        assert host.leave_passthrough() == b''
        assert wire.dropped(wire.modem) > 0 and wire.dropped(wire.peer) > 0
    finally:
        server.close()


# ---------------------------------------------------------------- UDP

def test_udp(host, udp_peer):
    """2,048 bytes are a datagram, and so is what stands before 20 ms of silence; what comes is raw."""
    peer = udp_peer()
    host.command('AT+SYSMSG=1')
    host.connect_udp('127.0.0.1', peer.getsockname()[1], servers.free_port(), 0)
    host.command('AT+CIPMODE=1')
    host.enter_passthrough()
    for turn in range(10):
        data = b''.join(servers.stream(turn, 3 * 2048 + 17 * turn))
        host.write(data)
        got = b''
        while len(got) < len(data):
            piece, address = peer.recvfrom(65536)
            assert len(piece) <= 2048
            got += piece
        assert got == data
        peer.sendto(data[:1472], address)
        assert host.take(1472) == data[:1472]
    host.leave_passthrough()
    host.command('AT+CIPMODE=0')
    host.send(b'normal again')
    assert peer.recv(100) == b'normal again'


# ---------------------------------------------------------------- +++

@pytest.fixture
def through(host, serve):
    """A modem in passthrough; `.sink` is the server's side."""
    host.sink = types.SimpleNamespace(text=bytearray(), connection=None)

    def take(connection):
        host.sink.connection = connection
        while True:
            piece = connection.recv(65536)
            if not piece:
                return
            host.sink.text.extend(piece)

    host.server, host.serve_one = serve(take), take
    start_passthrough(host, '127.0.0.1', host.server.port)
    return host


def wait_for_text(host, text, timeout=10):
    end = time.monotonic() + timeout
    while len(host.sink.text) < len(text):
        assert time.monotonic() < end, f'{bytes(host.sink.text[-100:])!r} of {len(text)} bytes came'
        time.sleep(0.002)
    assert bytes(host.sink.text) == text


def test_plus_signs_inside_a_stream_are_data(through):
    """At random positions, also at its ends, and cut at random; three of them never stand in a packet alone."""
    source = random.Random(SEED)
    text = b''
    for _ in range(100):
        stream = bytearray(source.randbytes(source.randrange(4, 3000)))
        for _ in range(source.randrange(1, 6)):
            at = source.randrange(len(stream) - 3)
            stream[at:at + 3] = b'+++'
        stream[0:3] = source.choice([b'+++', bytes(stream[0:3])])
        # Of two writes one might come 20 ms later than the other: no packet that a cut can make is +++.
        cut = source.randrange(len(stream) + 1)
        if b'+++' in (bytes(stream[:cut]), bytes(stream[cut:])):
            cut = 0
        through.write(bytes(stream[:cut]))
        through.write(bytes(stream[cut:]))
        text += bytes(stream)
        if source.randrange(4) == 0:
            wait_for_text(through, text)  # the modem has seen silence
    wait_for_text(through, text)
    through.leave_passthrough()
    through.command('AT')


@pytest.mark.parametrize('text', [b'+', b'++', b'++++', b'++++++', b'+++\r\n', b'\r\n+++', b'+++a', b'a+++', b'+++AT\r\n',
                                  b'AT\r\n', b'+ ++', b'\0+++'])
def test_almost_the_escape_is_data(through, text):
    """By itself, with silence around it."""
    before = b''
    for _ in range(3):
        through.write(text)
        before += text
        wait_for_text(through, before)
    through.sink.connection.sendall(b'+++ raw \0')
    assert through.take(9) == b'+++ raw \0'
    through.leave_passthrough()
    assert bytes(through.sink.text) == before


def test_in_and_out(through):
    """Thirty times; each time data goes both ways, and in between what comes is raw too."""
    text = b''
    for turn in range(30):
        through.write(b'turn %d;' % turn)
        text += b'turn %d;' % turn
        wait_for_text(through, text)
        assert through.leave_passthrough() == b''
        through.sink.connection.sendall(b'between\r\n')
        assert through.take(9) == b'between\r\n'
        through.enter_passthrough()
    through.leave_passthrough()
    wait_for_text(through, text)


def test_escape_while_a_stream_comes(through):
    """The network's stream goes on after +++: none of its bytes is lost."""
    stop, sent = threading.Event(), []

    def give():
        while not stop.is_set():
            through.sink.connection.sendall(b'0123456789' * 100)
            sent.append(1000)
            stop.wait(0.001)

    thread = threading.Thread(target=give, daemon=True)
    thread.start()
    through.take(5000)
    time.sleep(modem.GUARD_S)  # the silence before +++
    through.write(b'+++')
    before = through.take_until(b'\r\n+QUITT\r\n')
    stop.set()
    thread.join(10)
    left = sum(sent) - 5000 - (len(before) - 10)
    assert left >= 0
    rest = through.take(left)
    assert (b'0123456789' * 100 * len(sent))[5000:] == before[:-10] + rest
    through.command('AT')


# ---------------------------------------------------------------- reconnecting

def test_reconnects_when_the_server_is_back(through, serve):
    port = through.server.port
    for turn in range(3):
        through.write(b'turn %d' % turn)
        wait_for_text(through, b'turn %d' % turn)
        through.server.close()
        through.sink.text.clear()
        through.sink.connection = None
        through.server = serve(through.serve_one, port=port)
        # It tries each 100 ms; what is typed meanwhile is lost, so wait for it.
        end = time.monotonic() + 10
        while not through.sink.connection:
            assert time.monotonic() < end, 'it does not come back'
            time.sleep(0.005)
        through.sink.connection.sendall(b'hello again')
        assert through.take(11) == b'hello again'
    through.leave_passthrough()
    through.command('AT+CIPMODE=0')


def test_a_server_that_is_away_for_long(through, serve):
    """Silence while it is away, AT+CIPRECONNINTV between the tries, and +++ ends them."""
    port = through.server.port
    through.leave_passthrough()
    through.command('AT+CIPRECONNINTV=3')
    through.enter_passthrough()
    times = []
    through.server.close()

    def close_at_once(connection):
        times.append(time.monotonic())
        servers.reset(connection)

    through.server = serve(close_at_once, port=port)
    end = time.monotonic() + 10
    while len(times) < 4:
        assert time.monotonic() < end
        time.sleep(0.005)
    pauses = [b - a for a, b in zip(times, times[1:])]
    assert all(0.28 < pause < 2 for pause in pauses), pauses
    through.server.close()
    assert through.quiet(0.5) == b''
    through.leave_passthrough()
    tries = len(times)
    through.server = serve(close_at_once, port=port)
    assert through.quiet(0.7) in (b'', b'CLOSED\r\n')
    assert len(times) == tries, 'it still tries'
    through.command('AT')


def test_from_the_start_over_restarts(start_pty, serve, folder):
    """AT+SAVETRANSLINK: a process that starts again is in passthrough before anybody types."""
    echo = serve(servers.echo)
    args = ('--state', folder / 'state')

    def restart():
        daemon = start_pty(*args, state=True)
        return daemon, modem.open_plain(daemon.link)

    daemon, port = restart()
    with port:
        port.prepare()
        port.command('AT+SYSMSG=1')
        port.command(f'AT+SAVETRANSLINK=1,"127.0.0.1",{echo.port},"TCP"')
        assert echo.connections == []
    assert daemon.end() == 0
    for turn in range(3):
        daemon, port = restart()
        with port:
            daemon.wait_until(lambda: len(echo.connections) > turn, 'it connects by itself')
            port.quiet(0.1)
            data = b''.join(servers.stream(turn, 20000))
            port.write(data)
            assert port.take(len(data)) == data
        assert daemon.end() == 0
    daemon, port = restart()
    with port:
        daemon.wait_until(lambda: len(echo.connections) > 3, 'it connects by itself')
        port.quiet(0.1)
        port.leave_passthrough()
        port.command('AT+SAVETRANSLINK=0')
    assert daemon.end() == 0
    daemon, port = restart()
    with port:
        port.quiet(0.1)
        port.prepare()
        assert port.command('AT+CIPMODE?') == [b'+CIPMODE:0']
        assert len(echo.connections) == 4


def test_from_the_start_by_udp(start_pty, udp_peer, folder):
    peer, own = udp_peer(), servers.free_port()
    args = ('--state', folder / 'state')
    daemon = start_pty(*args, state=True)
    with modem.open_port(daemon.link) as port:
        port.prepare()
        port.command(f'AT+SAVETRANSLINK=1,"127.0.0.1",{peer.getsockname()[1]},"UDP",{own}')
    assert daemon.end() == 0
    daemon = start_pty(*args, state=True)
    with modem.open_plain(daemon.link) as port:
        port.quiet(0.2)
        port.write(b'by itself')
        assert peer.recvfrom(100) == (b'by itself', ('127.0.0.1', own))
        peer.sendto(b'you too', ('127.0.0.1', own))
        assert port.take(7) == b'you too'

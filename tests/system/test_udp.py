# SPDX-License-Identifier: MIT
"""Datagrams between a host program and real peers on loopback: each one whole, once, in order, or counted as lost."""

import contextlib
import pathlib
import re
import struct
import threading
import time

import pytest

import modem
import servers

MANY = 100000
# 3 to 10 s of work, which a busy machine may make many times as long.
BUSY = pytest.mark.limit(180)


def trace(port):
    return port.daemon.err.decode(errors='replace')


def local_port(port, link=0):
    """Of an open link, as AT+CIPSTATUS shows it."""
    for line in port.command('AT+CIPSTATUS'):
        found = re.match(rb'\+CIPSTATUS:%d,"UDP","[^"]*",\d+,(\d+),' % link, line)
        if found:
            return int(found[1])
    raise AssertionError(f'link {link} is not shown')


def test_echo_of_every_size(host, udp_peer):
    peer = udp_peer()
    got = modem.Datagrams(host)
    host.connect_udp('127.0.0.1', peer.getsockname()[1])
    for turn, size in enumerate([1, 2, 511, 512, 1472, 1473, 2047, 2048]):
        data = b''.join(servers.stream(size, size))
        host.send(data)
        came, address = peer.recvfrom(65536)
        assert came == data
        peer.sendto(came[::-1], address)
        assert got.wait_for(turn + 1) == data[::-1]


def test_datagrams_that_are_larger_than_one_send(host, udp_peer):
    """Up to the receive window; the largest that there is fits nowhere and is lost, and the next one comes."""
    peer = udp_peer()
    got = modem.Datagrams(host)
    host.connect_udp('127.0.0.1', peer.getsockname()[1])
    to = ('127.0.0.1', local_port(host))
    for turn, size in enumerate([2049, 4096, 5500]):
        data = b''.join(servers.stream(size, size))
        peer.sendto(data, to)
        assert got.wait_for(turn + 1) == data
    peer.sendto(bytes(65507), to)
    peer.sendto(b'next', to)
    assert got.wait_for(4) == b'next'
    host.command('AT')


def test_local_port_that_the_user_may_not_have(open_modem, program, udp_peer):
    """A driver's keep alive of 10 s stands where UDP has its port: the link works all the same, from some other one."""
    if int(pathlib.Path('/proc/sys/net/ipv4/ip_unprivileged_port_start').read_text()) <= 10:
        pytest.skip('every user may have port 10 here')
    host = open_modem('--trace', program=['setpriv', '--bounding-set=-net_bind_service', program])
    peer, got = udp_peer(), modem.Datagrams(host)
    host.connect_udp('127.0.0.1', peer.getsockname()[1], 10)
    host.send(b'there')
    came, address = peer.recvfrom(65536)
    assert came == b'there' and address[1] == local_port(host) >= 1024
    peer.sendto(b'and back', address)
    assert got.wait_for(1) == b'and back'
    assert 'link 0: this user may not have port 10, another one is taken' in trace(host)


def test_largest_and_empty_datagrams_are_counted_or_nothing(open_modem, udp_peer):
    """The trace says what was lost, and why; an empty datagram is not lost, there is nothing to show of it."""
    host, peer = open_modem('--trace'), udp_peer()
    got = modem.Datagrams(host)
    host.connect_udp('127.0.0.1', peer.getsockname()[1])
    to = ('127.0.0.1', local_port(host))
    for turn in range(20):
        peer.sendto(b'', to)
        peer.sendto(bytes(65507), to)
        peer.sendto(b'%d' % turn, to)
        assert got.wait_for(turn + 1) == b'%d' % turn
    host.daemon.wait_until(lambda: 'it does not fit the receive window' in trace(host), 'the trace says why')
    host.command('AT+CIPCLOSE')
    host.daemon.wait_until(lambda: 'link 0: datagrams dropped since it opened: 20\n' in trace(host), 'the loss is told')


@pytest.mark.parametrize('mode', [0, 1, 2])
def test_modes(host, udp_peer, mode):
    """0 keeps the remote of the command, 1 takes the first other sender, 2 every one."""
    a, b, c = (udp_peer() for _ in range(3))
    own = servers.free_port()
    got = modem.Datagrams(host)
    host.connect_udp('127.0.0.1', a.getsockname()[1], own, mode)
    expected = [{0: a, 1: b, 2: b}[mode], {0: a, 1: b, 2: c}[mode], {0: a, 1: b, 2: a}[mode]]
    host.send(b'first')
    assert a.recvfrom(100) == (b'first', ('127.0.0.1', own))
    for turn, (sender, receiver) in enumerate(zip((b, c, a), expected)):
        sender.sendto(b'hello', ('127.0.0.1', own))
        got.wait_for(turn + 1)
        host.send(b'turn %d' % turn)
        assert receiver.recvfrom(100) == (b'turn %d' % turn, ('127.0.0.1', own))


@pytest.mark.parametrize('remote', [('0.0.0.0', 65535), ('0', 1), ('0.0.0.0', 1)])
def test_a_service_that_learns_its_peer(host, udp_peer, remote):
    """As hosts open a port to be asked on: no remote, mode 2."""
    own = servers.free_port()
    got = modem.Datagrams(host)
    host.command('AT+CIPDINFO=1')
    host.connect_udp(*remote, own, 2)
    for turn in range(3):
        peer = udp_peer()
        peer.sendto(b'question', ('127.0.0.1', own))
        assert got.wait_for(turn + 1) == b'question'
        assert got.sources[turn] == peer.getsockname()
        host.send(b'answer')
        assert peer.recvfrom(100)[0] == b'answer'


def test_a_remote_for_each_send(host, udp_peer):
    """By CIPSEND and by CIPSENDEX, by address and by name; the link keeps its own."""
    fixed, others = udp_peer(), [udp_peer() for _ in range(3)]
    host.command('AT+CIPMUX=1')
    host.connect_udp('127.0.0.1', fixed.getsockname()[1], link=3)
    for other in others:
        for name in ('127.0.0.1', 'localhost'):
            host.send(b'to you', 3, to=(name, other.getsockname()[1]))
            assert other.recv(100) == b'to you'
            host.send(b'to the first', 3)
            assert fixed.recv(100) == b'to the first'
        host.write(b'AT+CIPSENDEX=3,100,"127.0.0.1",%d\r\n' % other.getsockname()[1])
        host.wait_for(b'>')
        host.write(b'by \\\\0 and more\\0')
        assert host.wait_for(b'SEND OK') == [b'Recv 14 bytes', b'SEND OK']
        assert other.recv(100) == b'by \\0 and more'


def test_nobody_is_there(host, udp_peer):
    """A port unreachable is not the end: datagrams get lost, and the link lives."""
    port = servers.free_port()
    host.connect_udp('127.0.0.1', port)
    for _ in range(20):
        host.send(b'is anybody there')
    peer = udp_peer(port)
    host.send(b'now')
    assert peer.recv(100) == b'now'


def test_five_links_at_once(host, udp_peer):
    """Nothing gets to a wrong link, and +IPD names the sender."""
    peers = [udp_peer() for _ in range(5)]
    host.command('AT+CIPMUX=1')
    host.command('AT+CIPDINFO=1')
    got = [modem.Datagrams(host, link) for link in range(5)]
    for link, peer in enumerate(peers):
        host.connect_udp('127.0.0.1', peer.getsockname()[1], link=link)
    for turn in range(50):
        for link, peer in enumerate(peers):
            host.send(b'%d/%d' % (link, turn), link)
            data, address = peer.recvfrom(100)
            assert data == b'%d/%d' % (link, turn)
            peer.sendto(data * 3, address)
    for link, peer in enumerate(peers):
        got[link].wait_for(50)
        assert [bytes(d) for d in got[link].all] == [b'%d/%d' % (link, turn) * 3 for turn in range(50)]
        assert set(got[link].sources) == {peer.getsockname()}


# ---------------------------------------------------------------- passive receive

def test_passive_keeps_what_fits_and_counts_the_rest(open_modem, udp_peer):
    host, peer = open_modem('--trace'), udp_peer()
    host.command('AT+CIPRECVMODE=1')
    host.connect_udp('127.0.0.1', peer.getsockname()[1])
    to = ('127.0.0.1', local_port(host))
    sent = [bytes([65 + n % 26]) * 1000 for n in range(40)]
    for data in sent:
        peer.sendto(data, to)
    host.daemon.wait_until(lambda: 'since it opened: 35\n' in trace(host), '35 of 40 are lost')
    for data in sent[:5]:
        assert host.read_passive(1000) == data
    host.refused('AT+CIPRECVDATA=1')
    peer.sendto(b'x' * 100, to)
    host.wait_for(b'+IPD,100')
    # A shorter read loses the rest of its datagram.
    peer.sendto(b'y' * 10, to)
    host.poll('AT+CIPRECVLEN?', b'+CIPRECVLEN:110')
    assert host.read_passive(1) == b'x'
    assert host.read_passive(1000) == b'y' * 10
    host.command('AT+CIPCLOSE')


def test_passive_reads_in_order(host, udp_peer):
    """A peer that waits for what was read loses nothing, whatever the reads are."""
    peer = udp_peer()
    host.command('AT+CIPRECVMODE=1')
    host.connect_udp('127.0.0.1', peer.getsockname()[1])
    to = ('127.0.0.1', local_port(host))
    for turn in range(100):
        sent = [b'%d.%d;' % (turn, n) * (1 + turn * n % 60) for n in range(4)]
        for data in sent:
            peer.sendto(data, to)
        total = sum(map(len, sent))
        host.poll('AT+CIPRECVLEN?', b'+CIPRECVLEN:%d' % total)
        assert host.read_passive(2147483647) == b''.join(sent)


# ---------------------------------------------------------------- many

def numbered(n):
    return struct.pack('>I', n) + b'%06d' % n * (1 + n % 9)


@BUSY
def test_100000_to_the_host(open_modem, release, udp_peer, figure):
    """Paced by what came, so that the system has room for each one: all come, once and in order."""
    host, peer = open_modem(program=release), udp_peer()
    host.connect_udp('127.0.0.1', peer.getsockname()[1])
    to = ('127.0.0.1', local_port(host))
    got = modem.Datagrams(host)
    sent = 0
    begun = time.monotonic()
    while got.whole() < MANY:
        while sent < MANY and sent - got.whole() < 100:
            peer.sendto(numbered(sent), to)
            sent += 1
        got.wait_for(got.whole() + 1)
    seconds = time.monotonic() - begun
    assert host.quiet(0.05) == b''
    assert len(got.all) == MANY
    assert all(got.all[n] == numbered(n) for n in range(MANY))
    figure(f'{MANY} datagrams to the host: {MANY / seconds:.0f}/s')


@BUSY
def test_100000_from_the_host(open_modem, release, udp_peer, figure):
    """Each SEND OK is one datagram."""
    host, peer = open_modem(program=release), udp_peer()
    host.connect_udp('127.0.0.1', peer.getsockname()[1])
    came = []

    def receive():
        with contextlib.suppress(TimeoutError):
            while len(came) < MANY:
                came.append(peer.recv(100))

    thread = threading.Thread(target=receive, daemon=True)
    thread.start()
    begun = time.monotonic()
    for n in range(MANY):
        host.send(numbered(n))
    seconds = time.monotonic() - begun
    thread.join(10)
    assert len(came) == MANY
    assert all(came[n] == numbered(n) for n in range(MANY))
    figure(f'{MANY} datagrams from the host: {MANY / seconds:.0f}/s')


def drops_of_the_system(port):
    """Datagrams for this port that the kernel had no room for."""
    with open('/proc/net/udp', encoding='ascii') as table:
        for line in table:
            words = line.split()
            if words[1].endswith(f':{port:04X}'):
                return int(words[-1])
    raise AssertionError(f'no socket has port {port}')


@BUSY
def test_100000_as_fast_as_they_can(open_modem, release, udp_peer, figure):
    """Nobody waits: the kernel drops some and counts them; each one that it took comes once and in order."""
    host, peer = open_modem(program=release), udp_peer()
    host.connect_udp('127.0.0.1', peer.getsockname()[1])
    own = local_port(host)
    got = modem.Datagrams(host)

    def flood():
        for n in range(MANY):
            peer.sendto(numbered(n), ('127.0.0.1', own))

    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    end = time.monotonic() + 150
    while thread.is_alive() or got.whole() + drops_of_the_system(own) < MANY:
        assert time.monotonic() < end, f'{got.whole()} came, {drops_of_the_system(own)} were dropped'
        host.read(0.01)
        while (line := host._next()) is not None:
            pytest.fail(f'among the datagrams stands {line!r}')
    numbers = [struct.unpack('>I', d[:4])[0] for d in got.all]
    assert all(a < b for a, b in zip(numbers, numbers[1:])), 'not in order, or twice'
    assert all(got.all[i] == numbered(n) for i, n in enumerate(numbers))
    assert len(numbers) + drops_of_the_system(own) == MANY
    figure(f'{MANY} datagrams at once: {len(numbers)} came, {MANY - len(numbers)} found no room in the system')

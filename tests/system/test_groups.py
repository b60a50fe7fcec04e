# SPDX-License-Identifier: MIT
"""Multicast groups, broadcasts and loss, over a cable between two namespaces."""

import socket
import threading
import time

import pytest

import modem
import namespaces
import servers

GROUP, OTHER_GROUP = '239.77.1.2', '239.77.1.3'


@pytest.fixture
def host(open_modem, wire, program):
    return open_modem('--iface', 'wire', program=[*wire.exec_words(wire.modem), program])


@pytest.fixture
def peer(wire):
    """peer(address, port): a UDP socket at the other end of the cable."""
    sockets = []

    def begin(address='', port=0, group=None):
        with wire.inside(wire.peer):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sockets.append(s)
        s.settimeout(10)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        s.bind((address, port))
        ours = socket.inet_aton(namespaces.PEER)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, ours)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
        if group:
            s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + ours)
        return s

    yield begin
    for s in sockets:
        s.close()


def port_of(s):
    return s.getsockname()[1]


def from_modem(s):
    """The next datagram that the modem sent: a broadcast of its own comes to its sender too."""
    while True:
        data, address = s.recvfrom(100)
        if address[0] == namespaces.MODEM:
            return data, address[1]


def test_group(host, peer):
    """The modem hears what is sent to the group that it named, and not what goes to another; it sends to it."""
    member = peer(group=GROUP)
    port = port_of(member)
    got = modem.Datagrams(host)
    host.command('AT+CIPDINFO=1')
    host.connect_udp(GROUP, port, port, 0)
    for turn in range(20):
        host.send(b'to all %d' % turn)
        assert from_modem(member) == (b'to all %d' % turn, port)
        # What it sends it hears too, as every program on its machine.
        assert got.wait_for(2 * turn + 1) == b'to all %d' % turn
        member.sendto(b'to nobody', (OTHER_GROUP, port))
        member.sendto(b'to the group %d' % turn, (GROUP, port))
        assert got.wait_for(2 * turn + 2) == b'to the group %d' % turn
        assert got.sources[-2:] == [(namespaces.MODEM, port), (namespaces.PEER, port)]
    host.command('AT+CIPCLOSE')
    member.sendto(b'too late', (GROUP, port))
    host.connect_udp(namespaces.PEER, port, port, 0)
    member.sendto(b'to you', (namespaces.MODEM, port))
    assert got.wait_for(41) == b'to you'


def test_two_groups_and_two_modems(start_pty, wire, program, peer):
    """Each hears its own; two members of one group on one machine both hear it."""
    daemon = start_pty('--iface', 'wire', '--count', 2, link='modem%d', wait_for='modem1',
                       program=[*wire.exec_words(wire.modem), program])
    sender = peer()
    port = servers.free_port()
    with modem.open_port(str(daemon.link) % 0) as first, modem.open_port(str(daemon.link) % 1) as second:
        got = []
        for host in (first, second):
            host.prepare(mux=True)
            host.connect_udp(GROUP, port, port, 0, link=0)
            got.append([modem.Datagrams(host, 0), modem.Datagrams(host, 1)])
        first.connect_udp(OTHER_GROUP, port, port, 0, link=1)
        for turn in range(10):
            sender.sendto(b'one %d' % turn, (GROUP, port))
            sender.sendto(b'other %d' % turn, (OTHER_GROUP, port))
            assert got[0][0].wait_for(turn + 1) == b'one %d' % turn
            assert got[1][0].wait_for(turn + 1) == b'one %d' % turn
            assert got[0][1].wait_for(turn + 1) == b'other %d' % turn


@pytest.mark.parametrize('to', ['255.255.255.255', namespaces.BROADCAST])
def test_broadcast(host, peer, to):
    """To all, from all, and an answer to one alone."""
    other = peer()
    port = port_of(other)
    got = modem.Datagrams(host)
    host.command('AT+CIPDINFO=1')
    host.connect_udp(to, port, port, 0)
    for turn in range(20):
        host.send(b'is anybody there %d' % turn)
        assert from_modem(other) == (b'is anybody there %d' % turn, port)
        other.sendto(b'I am %d' % turn, (namespaces.MODEM, port))
        other.sendto(b'and all know %d' % turn, (to if to != '255.255.255.255' else namespaces.BROADCAST, port))

        def from_there():
            return [bytes(d) for d, source in zip(got.all, got.sources) if source == (namespaces.PEER, port)]

        end = time.monotonic() + 10
        while len(from_there()) < 2 * turn + 2:
            got.wait_for(got.whole() + 1, end - time.monotonic())
        assert from_there()[-2:] == [b'I am %d' % turn, b'and all know %d' % turn]
        host.send(b'you', to=(namespaces.PEER, port))
        assert from_modem(other) == (b'you', port)


def test_broadcast_for_one_send(host, peer):
    """A link to one address may call all of them once."""
    fixed, all_of_them = peer(), peer()
    host.connect_udp(namespaces.PEER, port_of(fixed))
    for to in ('255.255.255.255', namespaces.BROADCAST):
        host.send(b'all', to=(to, port_of(all_of_them)))
        assert all_of_them.recv(100) == b'all'
        host.send(b'one')
        assert fixed.recv(100) == b'one'


def test_datagrams_that_get_lost(host, wire, peer):
    """One in five, at random, each way: those that arrive come once and in order, and as many as were not dropped."""
    count = 2000
    for side in (wire.modem, wire.peer):
        wire.filter(side, 'ip protocol udp numgen random mod 5 == 0 counter drop')
    other = peer()
    own = servers.free_port()
    got = modem.Datagrams(host)
    host.connect_udp(namespaces.PEER, port_of(other), own, 0)
    back = []

    def echo():
        while True:
            data, address = other.recvfrom(100)
            if data == b'end':
                return
            back.append(data)
            other.sendto(data, address)

    thread = threading.Thread(target=echo, daemon=True)
    thread.start()
    for n in range(count):
        host.send(b'%04d' % n)
    # The end may get lost too.
    for _ in range(100):
        host.send(b'end')
        thread.join(0.05)
        if not thread.is_alive():
            break
    assert len(back) >= count - wire.dropped(wire.peer)
    end = time.monotonic() + 10
    while got.whole() < len(back) - wire.dropped(wire.modem):
        got.wait_for(got.whole() + 1, end - time.monotonic())
    assert host.quiet(0.05) == b''
    assert len(got.all) == len(back) - wire.dropped(wire.modem)
    numbers = [int(d) for d in got.all]
    assert all(a < b for a, b in zip(numbers, numbers[1:])), 'not in order, or twice'
    assert back == sorted(set(back))
    assert len(back) < count and len(numbers) < len(back), 'nothing was lost: this was no test'


def test_server_over_a_cable(host, wire):
    """It listens on the address of the interface that --iface names."""
    host.command('AT+CIPMUX=1')
    port = servers.free_port()
    host.command(f'AT+CIPSERVER=1,{port}')
    with wire.inside(wire.peer):
        client = socket.create_connection((namespaces.MODEM, port), 10)
    with client:
        host.wait_for(b'0,CONNECT')
        client.sendall(b'hello')
        host.receive(0, 5)
        host.send(b'you too', 0)
        assert client.recv(100) == b'you too'
    host.wait_for(b'0,CLOSED')

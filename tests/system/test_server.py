# SPDX-License-Identifier: MIT
"""The modem as a server, with real clients on loopback."""

import os
import re
import select
import shutil
import socket
import threading
import time

import pytest

import modem
import servers

LISTEN = ('--listen-address', '127.0.0.1')


@pytest.fixture
def server(open_modem):
    """A modem whose server listens on its `.port`."""
    host = open_modem(*LISTEN, '--trace', mux=True)
    host.port = servers.free_port()
    host.command(f'AT+CIPSERVER=1,{host.port}')
    return host


@pytest.fixture
def clients():
    """clients(port): a connection."""
    made = []

    def begin(port, timeout=10):
        made.append(socket.create_connection(('127.0.0.1', port), timeout))
        return made[-1]

    yield begin
    for client in made:
        client.close()


def take(client, count):
    data = b''
    while len(data) < count:
        piece = client.recv(count - len(data))
        assert piece, f'the modem closed after {len(data)} of {count} bytes'
        data += piece
    return data


def is_refused(port):
    with socket.socket() as probe:
        probe.settimeout(10)
        return probe.connect_ex(('127.0.0.1', port)) != 0


def trace(host):
    return host.daemon.err.decode(errors='replace')


def test_five_clients_both_ways(server, clients):
    """All at once, each with a stream of its own in both directions."""
    count, failures, sources, digests = 200 * 1024, [], [], []
    peers = []
    for link in range(5):
        peers.append(clients(server.port))
        server.wait_for(b'%d,CONNECT' % link)
        sources.append(b''.join(servers.stream(100 + link, count)))
        digests.append(bytearray())
        server.sinks[link] = digests[link].extend

    def talk(link):
        try:
            for piece in servers.stream(200 + link, count):
                peers[link].sendall(piece)
        except OSError as error:
            failures.append(error)

    got = [bytearray() for _ in range(5)]

    def listen(link):
        try:
            while len(got[link]) < count:
                piece = peers[link].recv(65536)
                if not piece:
                    break
                got[link].extend(piece)
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=what, args=(link,), daemon=True) for link in range(5) for what in (talk, listen)]
    for thread in threads:
        thread.start()
    for at in range(0, count, 2048):
        for link in range(5):
            server.send(sources[link][at:at + 2048], link)
    for link in range(5):
        server.receive(link, count)
    for thread in threads:
        thread.join(20)
    assert failures == []
    for link in range(5):
        assert bytes(digests[link]) == b''.join(servers.stream(200 + link, count)), f'link {link} to the host'
        assert bytes(got[link]) == sources[link], f'link {link} to the client'


def test_full_server_refuses_and_accepts_again(server, clients):
    peers = [clients(server.port) for _ in range(5)]
    for link in range(5):
        server.wait_for(b'%d,CONNECT' % link)
    server.daemon.wait_until(lambda: is_refused(server.port), 'a sixth client is refused')
    for link in (2, 0, 4):
        peers[link].close()
        server.wait_for(b'%d,CLOSED' % link)
        # The lowest free ID is taken again.
        deadline = time.monotonic() + 10
        while True:
            try:
                peers[link] = clients(server.port)
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, 'it does not listen again'
                time.sleep(0.005)
        server.wait_for(b'%d,CONNECT' % link)
        server.send(b'welcome', link)
        assert take(peers[link], 7) == b'welcome'
    server.daemon.wait_until(lambda: is_refused(server.port), 'again full')


def test_10000_connects_against_a_full_server(server, clients, figure):
    """Each is refused at once, and those who are in notice nothing."""
    peers = [clients(server.port) for _ in range(5)]
    for link in range(5):
        server.wait_for(b'%d,CONNECT' % link)
    server.daemon.wait_until(lambda: is_refused(server.port), 'a sixth client is refused')
    begun = time.monotonic()
    accepted = 0
    for turn in range(10000):
        accepted += not is_refused(server.port)
        if turn % 1000 == 0:
            server.send(b'still here', turn // 1000 % 5)
            assert take(peers[turn // 1000 % 5], 10) == b'still here'
    seconds = time.monotonic() - begun
    figure(f'10,000 connects against a full server: {seconds:.2f} s')
    assert accepted == 0
    assert seconds < 20
    assert server.quiet(0.05) == b''
    peers[3].close()
    server.wait_for(b'3,CLOSED')
    server.daemon.wait_until(lambda: not is_refused(server.port), 'it listens again')
    server.wait_for(b'3,CONNECT')


def test_400_connects_at_once(server):
    """Five get in, and every other one hears so soon."""
    waiting = {}
    for _ in range(400):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(('127.0.0.1', server.port))
        waiting[s.fileno()] = s
    held = []
    try:
        for link in range(5):
            server.wait_for(b'%d,CONNECT' % link)
        end = time.monotonic() + 20
        poll = select.poll()
        for fd in waiting:
            poll.register(fd, select.POLLIN)
        # A client that is turned away sees its connection end.
        while len(waiting) > 5:
            assert time.monotonic() < end, f'{len(waiting)} clients still wait'
            for fd, _ in poll.poll(100):
                s = waiting.pop(fd)
                poll.unregister(fd)
                try:
                    data = s.recv(1)
                except OSError:
                    data = b''
                assert data == b''
                s.close()
        held = list(waiting.values())
        for link in range(5):
            server.send(b'welcome', link)
        for s in held:
            s.settimeout(10)
            assert take(s, 7) == b'welcome'
    finally:
        for s in [*waiting.values(), *held]:
            s.close()


def test_clients_that_close_inside_the_accept(server, clients):
    """Whether by FIN or RST: each CONNECT has its CLOSED, and the server goes on."""
    for turn in range(300):
        s = socket.socket()
        s.settimeout(10)
        s.connect_ex(('127.0.0.1', server.port))
        if turn % 2:
            servers.reset(s)
        else:
            s.close()
    last = None
    end = time.monotonic() + 20
    opened = closed = 0
    while opened == 0 or opened != closed or last is None:
        assert time.monotonic() < end, f'{opened} opened, {closed} closed'
        try:
            line = server.record(0.2)
            opened += line.endswith(b',CONNECT')
            closed += line.endswith(b',CLOSED')
        except modem.Late:
            last = True
    assert server.command('AT+CIPSTATUS') == [b'STATUS:4']
    peer = clients(server.port)
    server.wait_for(b'0,CONNECT')
    server.send(b'welcome', 0)
    assert take(peer, 7) == b'welcome'


def test_clients_that_send_and_close_at_once(server):
    """What they said comes whole, and before CLOSED; five at a time, as there are places."""
    heard = [bytearray() for _ in range(5)]
    for link in range(5):
        server.sinks[link] = heard[link].extend
    for turn in range(40):
        end = time.monotonic() + 10
        for client in range(5):
            s = None
            while s is None:
                assert time.monotonic() < end, 'it does not listen'
                try:
                    s = socket.create_connection(('127.0.0.1', server.port), 10)
                except ConnectionRefusedError:
                    time.sleep(0.005)
            s.sendall(b'%d/%d says something' % (turn, client))
            s.close()
        closed = 0
        while closed < 5:
            assert time.monotonic() < end, f'{closed} of 5 closed'
            closed += server.record().endswith(b',CLOSED')
        said = b''.join(bytes(text) for text in heard)
        for client in range(5):
            assert b'%d/%d says something' % (turn, client) in said
        for text in heard:
            text.clear()


def test_idle_clients_are_closed(server, clients):
    """After AT+CIPSTO; only what the client says counts."""
    talker, idle = clients(server.port), clients(server.port)
    for link in range(2):
        server.wait_for(b'%d,CONNECT' % link)
    server.command('AT+CIPSTO=1')
    begun = time.monotonic()
    seen = []
    while b'1,CLOSED' not in seen:
        assert time.monotonic() < begun + 10
        talker.sendall(b'x')
        try:
            seen.append(server.record(0.2))
        except modem.Late:
            pass
        server.send(b'do not go', 1) if b'1,CLOSED' not in seen and time.monotonic() < begun + 0.7 else None
    seconds = time.monotonic() - begun
    assert 0.9 < seconds < 5
    assert seen == [b'1,CLOSED']
    begun = time.monotonic()
    server.wait_for(b'0,CLOSED')
    assert 0.5 < time.monotonic() - begun < 5
    while idle.recv(100):
        pass


def test_port_in_use(open_modem, clients):
    """ERROR and the reason; another port works, and the same one when it is free."""
    host = open_modem(*LISTEN, '--trace', mux=True)
    with socket.socket() as other:
        other.bind(('127.0.0.1', 0))
        other.listen()
        port = other.getsockname()[1]
        host.refused(f'AT+CIPSERVER=1,{port}')
        host.daemon.wait_until(lambda: f'cannot listen on 127.0.0.1:{port}: the port is in use' in trace(host),
                               'the trace says why')
        assert host.command('AT+CIPSERVER?') == [b'+CIPSERVER:0']
        second = servers.free_port()
        host.command(f'AT+CIPSERVER=1,{second}')
        clients(second)
        host.wait_for(b'0,CONNECT')
        host.command('AT+CIPSERVER=0')
    host.command(f'AT+CIPSERVER=1,{port}')
    clients(port)
    host.wait_for(b'1,CONNECT')


def test_two_modems_and_one_port(start_pty):
    daemon = start_pty('--count', 2, *LISTEN, link='modem%d', wait_for='modem1')
    port = servers.free_port()
    with modem.open_port(str(daemon.link) % 0) as first, modem.open_port(str(daemon.link) % 1) as second:
        first.prepare(mux=True)
        second.prepare(mux=True)
        first.command(f'AT+CIPSERVER=1,{port}')
        second.refused(f'AT+CIPSERVER=1,{port}')
        first.command('AT+CIPSERVER=0')
        second.command(f'AT+CIPSERVER=1,{port}')


def test_port_that_needs_a_right(open_modem, program):
    with open('/proc/sys/net/ipv4/ip_unprivileged_port_start', encoding='ascii') as file:
        if int(file.read()) <= 7:
            pytest.skip('every port is free for all here')
    words = [program]
    if os.geteuid() == 0:
        if not shutil.which('setpriv'):
            pytest.skip('setpriv is not installed')
        words = ['setpriv', '--bounding-set', '-net_bind_service', program]
    host = open_modem(*LISTEN, '--trace', mux=True, program=words)
    host.refused('AT+CIPSERVER=1,7')
    host.daemon.wait_until(lambda: 'need CAP_NET_BIND_SERVICE' in trace(host), 'the trace says why')
    host.command(f'AT+CIPSERVER=1,{servers.free_port()}')


def test_address_that_is_not_ours(open_modem):
    host = open_modem('--listen-address', '192.0.2.1', '--trace', mux=True)
    host.refused(f'AT+CIPSERVER=1,{servers.free_port()}')
    host.daemon.wait_until(lambda: 'this machine does not have the address' in trace(host), 'the trace says why')


@pytest.mark.parametrize('address', [None, 'any'])
def test_where_it_listens(open_modem, clients, address):
    """By default on the station's address, else where it is told."""
    host = open_modem(*(['--listen-address', address] if address else []), mux=True)
    port = servers.free_port()
    host.command(f'AT+CIPSERVER=1,{port}')
    station = re.search(rb'STAIP,"([^"]*)"', b' '.join(host.command('AT+CIFSR')))[1].decode()
    with socket.create_connection((station, port), 10):
        host.wait_for(b'0,CONNECT')
        if address:
            clients(port)
            host.wait_for(b'1,CONNECT')
        elif not station.startswith('127.'):
            assert is_refused(port)


def test_server_stays_over_links_of_both_kinds(server, serve, clients):
    """A link of our own takes a place; =0 leaves the links, =0,1 closes all of them."""
    echo = serve(servers.echo)
    server.connect('127.0.0.1', echo.port, 0)
    peers = [clients(server.port) for _ in range(4)]
    for link in range(1, 5):
        server.wait_for(b'%d,CONNECT' % link)
    server.daemon.wait_until(lambda: is_refused(server.port), 'full with a link of our own')
    server.command('AT+CIPSERVER=0')
    server.send(b'hello', 0)
    server.receive(0, 5)
    for link, peer in enumerate(peers, 1):
        server.send(b'hello', link)
        assert take(peer, 5) == b'hello'
    assert is_refused(server.port)
    assert server.command('AT+CIPSERVER=0,1') == [b'%d,CLOSED' % link for link in range(5)]
    for peer in peers:
        assert peer.recv(1) == b''


def test_restart_ends_the_server(server, clients):
    peer = clients(server.port)
    server.wait_for(b'0,CONNECT')
    server.command('AT+RST')
    server.wait_for(b'ready')
    assert peer.recv(1) == b''
    server.prepare(mux=True)
    assert is_refused(server.port)
    # And the port is free for the next one at once.
    server.command(f'AT+CIPSERVER=1,{server.port}')
    clients(server.port)
    server.wait_for(b'0,CONNECT')

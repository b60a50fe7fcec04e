# SPDX-License-Identifier: MIT
"""Servers that refuse, vanish, break off or never answer; names; restarts of the modem."""

import hashlib
import threading
import time

import pytest

import modem
import servers


def test_refused(host):
    port = servers.closed_port()
    begun = time.monotonic()
    assert host.ask(f'AT+CIPSTART="TCP","127.0.0.1",{port}') == [b'ERROR']
    assert host.wait_for(b'CLOSED') == [b'CLOSED']
    assert time.monotonic() - begun < 2
    host.refused('AT+CIPSEND=1')
    assert b'STATUS:3' not in host.command('AT+CIPSTATUS')


def test_nobody_answers(host, figure):
    """The network neither accepts nor refuses: an answer comes within 20 s, and meanwhile "busy p..."."""
    silent = servers.Silent()
    try:
        if not silent.is_silent():
            pytest.skip('a full queue still answers on this kernel')
        begun = time.monotonic()
        host.write(b'AT+CIPSTART="TCP","127.0.0.1",%d\r\n' % silent.port)
        host.write(b'AT\r\n')
        assert host.wait_for(b'busy p...', b'ERROR') == [b'busy p...']
        answer = host.wait_for(b'OK', b'ERROR', timeout=25)
        seconds = time.monotonic() - begun
        assert answer == [b'ERROR']
        host.wait_for(b'CLOSED')
        figure(f'a connect that nobody answers is reported after {seconds:.2f} s')
        assert seconds <= 21
        host.command('AT')
    finally:
        silent.close()


def test_rst_breaks_off_a_connect(host):
    silent = servers.Silent()
    try:
        if not silent.is_silent():
            pytest.skip('a full queue still answers on this kernel')
        host.write(b'AT+CIPSTART="TCP","127.0.0.1",%d\r\n' % silent.port)
        host.write(b'AT\r\n')
        host.wait_for(b'busy p...')
        host.write(b'AT+RST\r\n')
        host.wait_for(b'Will force to restart!!!')
        host.wait_for(b'ready')
        host.command('ATE0')
    finally:
        silent.close()


def test_name_that_does_not_exist(host):
    """No server is asked: names below .invalid and of wrong form end in ERROR, whatever the resolver thinks of them."""
    begun = time.monotonic()
    host.refused('AT+CIPSTART="TCP","host.invalid",80', timeout=25)
    host.refused('AT+CIPDOMAIN="host..invalid"', timeout=25)
    assert time.monotonic() - begun < 25
    host.command('AT')


def test_name_of_the_hosts_file(host):
    assert host.command('AT+CIPDOMAIN="localhost"') == [b'+CIPDOMAIN:"127.0.0.1"']


def test_without_wifi_there_is_no_network(start_pty, serve):
    server = serve(servers.echo)
    with modem.open_port(start_pty().link) as port:
        port.command('ATE0')
        port.command('AT+CWMODE=1')
        port.refused(f'AT+CIPSTART="TCP","127.0.0.1",{server.port}')
        assert server.connections == []


def test_leaving_wifi_closes_links(host, serve):
    sink = servers.Sink()
    host.connect('127.0.0.1', serve(sink).port)
    host.send(b'last words')
    host.write(b'AT+CWQAP\r\n')
    assert host.wait_for(b'CLOSED') == [b'OK', b'WIFI DISCONNECT', b'CLOSED']
    assert sink.ended.wait(10)
    assert sink.count == 10


@pytest.mark.parametrize('kind', ['upload', 'download'])
def test_server_resets_in_the_middle(host, serve, kind):
    """CLOSED and an answer to whatever was at work; what came before the reset is what the server sent."""
    received = hashlib.sha256()
    host.sinks[0] = received.update

    def upload(connection):
        got = 0
        while got < 300000:
            got += len(connection.recv(65536))
        servers.reset(connection)

    def download(connection):
        connection.recv(1)
        for piece in servers.stream(1, 300000):
            connection.sendall(piece)
        connection.recv(1)
        servers.reset(connection)

    host.connect('127.0.0.1', serve(upload if kind == 'upload' else download).port)
    if kind == 'upload':
        data = bytes(2048)
        for _ in range(2000):
            host.write(b'AT+CIPSEND=2048\r\n')
            answer = host.wait_for(b'>', b'ERROR')
            if answer[-1] == b'ERROR':
                break
            host.write(data)
            answer += host.wait_for(b'SEND OK', b'SEND FAIL')
            if answer[-1] == b'SEND FAIL':
                break
        else:
            pytest.fail('sending to a reset connection never failed')
        if b'CLOSED' not in answer:
            host.wait_for(b'CLOSED')
    else:
        host.send(b'x')
        host.receive(0, 300000)
        assert received.hexdigest() == servers.sha256_of(servers.stream(1, 300000))
        host.send(b'x')
        host.wait_for(b'CLOSED')
    host.refused('AT+CIPSEND=1')
    assert b'STATUS:4' in host.command('AT+CIPSTATUS')


def test_server_ends_while_data_is_typed(host, serve):
    """The data is still collected, then SEND FAIL; CLOSED is said once."""
    gone = threading.Event()

    def talk(connection):
        connection.recv(2)
        servers.reset(connection)
        gone.set()

    host.connect('127.0.0.1', serve(talk).port)
    host.begin_send(100)
    host.write(bytes(50))
    # The peer goes while the modem waits for the other half.
    host.quiet(0.05)
    host.write(bytes(50))
    answer = host.wait_for(b'SEND OK', b'SEND FAIL')
    assert b'Recv 100 bytes' in answer
    assert gone.wait(10)
    if b'CLOSED' not in answer:
        answer += host.wait_for(b'CLOSED')
    assert answer.count(b'CLOSED') == 1
    host.refused('AT+CIPSEND=1')


def test_many_links_one_after_the_other(host, serve):
    """No link ID, descriptor or memory stays behind."""
    server = serve(servers.echo)
    for turn in range(200):
        host.connect('127.0.0.1', server.port)
        if turn % 10 == 0:
            got = host.received.get(0, 0)
            host.send(b'hello')
            host.receive(0, got + 5)
        assert b'CLOSED' in host.command('AT+CIPCLOSE')


def test_descriptors_do_not_leak(start_pty, serve):
    daemon = start_pty()
    server = serve(servers.echo)

    with modem.open_port(daemon.link) as port:
        port.prepare()
        port.connect('localhost', server.port)
        port.command('AT+CIPCLOSE')
        before = daemon.descriptors()
        for _ in range(50):
            port.connect('localhost', server.port)
            port.command('AT+CIPCLOSE')
            port.refused(f'AT+CIPSTART="TCP","127.0.0.1",{servers.closed_port()}')
            port.wait_for(b'CLOSED')
        daemon.wait_until(lambda: daemon.descriptors() <= before + 1, 'the descriptors are given back')


# ---------------------------------------------------------------- restart

def test_rst(host, serve, figure):
    """OK, links closed, "ready" within 300 ms, settings of RAM forgotten."""
    sinks = [servers.Sink() for _ in range(5)]
    host.command('AT+CIPMUX=1')
    for link, sink in enumerate(sinks):
        host.connect('127.0.0.1', serve(sink).port, link)
    host.write(b'AT+RST\r\n')
    host.wait_for(b'OK')
    begun = time.monotonic()
    seen = host.wait_for(b'ready')
    seconds = time.monotonic() - begun
    figure(f'AT+RST: ready {seconds * 1000:.0f} ms after OK')
    assert seconds <= 0.3
    assert seen in ([b'WIFI DISCONNECT', b'ready'], [b'ready'])
    for sink in sinks:
        assert sink.ended.wait(10), 'a link outlived the restart'
    host.write(b'AT+CIPMUX?\r\n')
    assert b'+CIPMUX:0' in host.wait_for(b'OK')


def test_rst_many_times(host, serve):
    server = serve(servers.echo)
    for _ in range(10):
        host.command('AT+RST')
        host.wait_for(b'ready')
        host.prepare()
        host.connect('127.0.0.1', server.port)


# ---------------------------------------------------------------- what hosts wait for

def test_answers_are_in_time(host, serve, figure):
    """The shortest time limits of known drivers: 200 ms for AT, 300 ms for a query, 1 s for the prompt and SEND OK."""
    server = serve(servers.echo)

    def slowest(line, turns=30):
        times = []
        for _ in range(turns):
            begun = time.monotonic()
            host.command(line)
            times.append(time.monotonic() - begun)
        return sorted(times)

    worst = {}
    for line, limit in (('AT', 0.2), ('AT+CIPSTATUS', 0.3), ('AT+CIFSR', 0.3), ('AT+GMR', 0.3)):
        times = slowest(line)
        worst[line] = times[-1]
        assert times[-1] < limit, f'{line}: {times}'
    host.connect('127.0.0.1', server.port)
    begun = time.monotonic()
    host.begin_send(2048)
    prompt = time.monotonic() - begun
    host.write(bytes(2048))
    host.wait_for(b'SEND OK')
    sent = time.monotonic() - begun
    assert prompt < 1 and sent < 1
    begun = time.monotonic()
    host.command('AT+CIPCLOSE')
    assert time.monotonic() - begun < 0.3
    figure('slowest of 30: ' + ', '.join(f'{line} {seconds * 1000:.1f} ms' for line, seconds in worst.items()) +
           f'; prompt {prompt * 1000:.1f} ms, SEND OK {sent * 1000:.1f} ms')

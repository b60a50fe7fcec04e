# SPDX-License-Identifier: MIT
"""Peers of an SSL link that stall, lie, or break off: each ends in bounded time, with its reason in the trace."""

import os
import socket
import threading
import time

import pytest

import modem
import servers
from authority import Tls


@pytest.fixture
def tls(start_tls):
    return start_tls()


def relay(upstream, limit, then):
    """Serves as a proxy to a TLS server: `limit` bytes of what that says pass, then then(connection)."""
    def serve(connection):
        with socket.create_connection(('127.0.0.1', upstream.port)) as server:
            def back():
                try:
                    while piece := connection.recv(65536):
                        server.sendall(piece)
                except OSError:
                    pass

            threading.Thread(target=back, daemon=True).start()
            left = limit
            while left and (piece := server.recv(min(left, 65536))):
                connection.sendall(piece)
                left -= len(piece)
            then(connection)
    return serve


def hold(connection):
    time.sleep(40)


RECORD = b'\x16\x03\x03'

@pytest.mark.parametrize('words, reason', [
    (b'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n', 'does not speak TLS'),
    (b'220 mail.example ESMTP\r\n', 'does not speak TLS'),
    (bytes(4096), 'does not speak TLS'),
    (RECORD + b'\xff\xff' + bytes(70000), 'packet length too long'),
    (RECORD + b'\x40\x00\x02\xff\xff\xff' + bytes(16380), 'excessive message size'),
    (RECORD + b'\x00\x04\x0e\x00\x00\x00', 'unexpected message'),
    (b'\x17\x03\x03\x00\x10' + bytes(16), 'unexpected'),
    (b'\x15\x03\x03\x00\x02\x02\x28', "the peer's alert 40: handshake failure"),
    ((RECORD + b'\x00\x04\x00\x00\x00\x00') * 1000, 'record after record'),
    (b'\x15\x03\x03\x00\x02\x01\x5a' * 1000, 'too many warn alerts'),
    ((RECORD + b'\x00\x00') * 1000, 'record'),
    (b'', 'the peer closed the connection'),
], ids=['http', 'text', 'zeros', 'length', 'message', 'order', 'data', 'alert', 'hello requests', 'warnings', 'empty',
        'nothing'])
def test_garbage_instead_of_a_server_hello(tls, serve, words, reason):
    def say(connection):
        connection.recv(4096)
        connection.sendall(words)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(5)
        connection.recv(4096)

    begun = time.monotonic()
    assert modem.start_ssl(tls, serve(say)) == modem.REFUSED
    assert time.monotonic() - begun < 3
    modem.traces(tls, reason)
    tls.command('AT')


def test_random_bytes(tls, serve):
    for _ in range(10):
        words = RECORD + os.urandom(2000)
        assert modem.start_ssl(tls, serve(lambda c, words=words: (c.recv(4096), c.sendall(words)))) == modem.REFUSED


@pytest.mark.parametrize('cut', [1, 60, 200, 700, 900])
def test_cut_in_the_handshake(tls, pki, serve, cut):
    upstream = serve(Tls(pki.server(), servers.echo))
    server = serve(relay(upstream, cut, lambda connection: connection.shutdown(socket.SHUT_RDWR)))
    answer = modem.start_ssl(tls, server)
    if answer == modem.OPEN: # the whole flight was shorter: it is cut behind the handshake
        tls.wait_for(b'CLOSED')
        modem.traces(tls, 'cut without close_notify')
    else:
        assert answer == modem.REFUSED
        modem.traces(tls, 'the peer closed the connection')


def test_stalls(start_pty, pki, serve, figure):
    """The handshake stops before the first byte, inside a message, and between two: 10 s for each packet."""
    upstream = serve(Tls(pki.server(version=None), servers.echo))
    seconds, failures = {}, []

    def wait_for_it(cut, link):
        try:
            with modem.open_port(start_pty(link=link).link) as port:
                port.prepare()
                server = serve(relay(upstream, cut, hold))
                begun = time.monotonic()
                assert modem.start_ssl(port, server) == modem.REFUSED
                seconds[cut] = time.monotonic() - begun
                port.command('AT')
        except Exception as error: # pylint: disable=broad-except
            failures.append((cut, error))

    threads = [threading.Thread(target=wait_for_it, args=(cut, f'm{cut}')) for cut in (0, 50, 127, 400)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    assert not failures, failures
    figure('handshakes that stall end after ' + ', '.join(f'{s:.1f} s' for s in seconds.values()))
    assert all(9 < s < 13 for s in seconds.values())


def test_restart_in_a_handshake(tls, serve):
    greeted = threading.Event()

    def listen(connection):
        connection.recv(1)
        greeted.set()
        hold(connection)

    tls.write(b'AT+CIPSTART="SSL","localhost",%d\r\n' % serve(listen).port)
    assert greeted.wait(10)
    tls.write(b'AT\r\n')
    tls.wait_for(b'busy p...')
    tls.write(b'AT+RST\r\n')
    tls.wait_for(b'ready')
    tls.command('AT')


def test_junk_behind_the_handshake(tls, pki, serve):
    """What is no record of this connection ends it; what came before is there."""
    def talk(connection):
        connection.sendall(b'good')
        raw = socket.socket(fileno=connection.detach())
        raw.sendall(b'\x17\x03\x03\x00\x20' + bytes(32))
        raw.settimeout(5)
        raw.recv(100)
        raw.close()

    assert modem.start_ssl(tls, serve(Tls(pki.server(), talk))) == modem.OPEN
    tls.receive(0, 4)
    tls.wait_for(b'CLOSED')
    modem.traces(tls, 'TLS failed: decryption failed or bad record mac')


def test_a_server_that_takes_nothing(tls, pki, serve):
    """The link is closed while our bytes find no room: the modem goes on, and says no SEND OK for them."""
    stop = threading.Event()
    assert modem.start_ssl(tls, serve(Tls(pki.server(), lambda c: stop.wait(40)), receive_buffer=4096)) == modem.OPEN
    accepted = 0
    while accepted < 4000:
        tls.begin_send(2048)
        tls.write(bytes(2048))
        try:
            tls.wait_for(b'SEND OK', timeout=1)
        except modem.Late:
            break
        accepted += 1
    assert accepted < 4000
    tls.write(b'AT\r\n')
    tls.wait_for(b'busy p...', b'busy s...')
    stop.set()
    tls.wait_for(b'CLOSED', timeout=20)


def test_many_connections_leave_nothing(start_tls, pki, serve):
    """Descriptors and memory of links that came and went, also of those that failed."""
    release = os.environ.get('ESPAT_RELEASE', '')
    if not os.access(release, os.X_OK):
        pytest.skip('ESPAT_RELEASE names no build without sanitizers: "make test" builds it')
    port = start_tls(trace=False, program=release)
    good, bad = serve(Tls(pki.server(), servers.echo)), serve(lambda c: c.sendall(b'nonsense'))

    def work(turns):
        for _ in range(turns):
            port.connect('localhost', good.port, kind='SSL')
            before = port.received.get(0, 0)
            port.send(bytes(2048))
            port.receive(0, before + 2048)
            port.command('AT+CIPCLOSE')
            assert modem.start_ssl(port, bad) == modem.REFUSED

    port.command('AT+CIPSSLCCONF=3,0,0')
    work(50)
    memory, files = port.daemon.resident_kib(), port.daemon.descriptors()
    work(150)
    assert port.daemon.resident_kib() - memory <= 256
    assert port.daemon.descriptors() <= files + 1

# SPDX-License-Identifier: MIT
"""Real data both ways, between a host program on a PTY and real servers."""

import hashlib
import re
import threading
import time

import pytest

import modem
import servers

MIB = 1 << 20
SEED = 20210205


class Body:
    """What follows the head of an HTTP answer, hashed as it comes."""

    def __init__(self):
        self.head, self.digest, self.count, self.text = b'', hashlib.sha256(), 0, b''

    def __call__(self, piece):
        if b'\r\n\r\n' not in self.head:
            self.head += piece
            at = self.head.find(b'\r\n\r\n') + 4
            if at < 4:
                return
            self.head, piece = self.head[:at], self.head[at:]
        self.digest.update(piece)
        self.count += len(piece)
        if self.count <= 1000:
            self.text += bytes(piece)

    def length(self):
        return int(re.search(rb'(?i)content-length: (\d+)', self.head)[1])

    def is_whole(self):
        return b'\r\n\r\n' in self.head and self.count >= self.length()


def get(host, web, seed, count, link=None):
    """Fetches as an HTTP client on the modem does; gives the seconds it took."""
    body = host.sinks[link or 0] = Body()
    host.received[link or 0] = 0
    begun = time.monotonic()
    host.send(b'GET /%d/%d HTTP/1.0\r\nHost: localhost\r\n\r\n' % (seed, count), link)
    while not body.is_whole():
        host.receive(link or 0, host.received[link or 0] + 1, timeout=20)
    seconds = time.monotonic() - begun
    assert body.count == count
    assert body.digest.hexdigest() == servers.sha256_of(servers.stream(seed, count))
    return seconds


def closed(link=None):
    return b'CLOSED' if link is None else b'%d,CLOSED' % link


@pytest.mark.parametrize('name', ['localhost', '127.0.0.1'])
def test_fetch_16_mib(host, web, figure, name):
    host.connect(name, web.port)
    seconds = get(host, web, SEED, 16 * MIB)
    figure(f'16 MiB from {name} by +IPD: {16 * MIB / seconds / 1e6:.1f} MB/s')
    host.wait_for(closed())


@pytest.mark.parametrize('name', ['localhost', '127.0.0.1'])
def test_upload_16_mib(host, web, figure, name):
    data = b''.join(servers.stream(SEED + 1, 16 * MIB))
    answer = host.sinks[0] = Body()
    host.connect(name, web.port)
    begun = time.monotonic()
    host.send(b'PUT / HTTP/1.0\r\nContent-Length: %d\r\n\r\n' % len(data))
    host.send_all(data, portion=2048)
    seconds = time.monotonic() - begun
    while not answer.is_whole():
        host.receive(0, host.received.get(0, 0) + 1)
    assert answer.text.decode() == hashlib.sha256(data).hexdigest()
    figure(f'16 MiB to {name} by 2,048-byte sends: {len(data) / seconds / 1e6:.1f} MB/s, '
           f'{len(data) / 2048 / seconds:.0f} sends/s')
    host.wait_for(closed())


def test_five_links_fetch_16_mib_at_once(host, web, figure):
    host.command('AT+CIPMUX=1')
    bodies = []
    for link in range(5):
        host.connect('localhost' if link % 2 else '127.0.0.1', web.port, link)
        bodies.append(Body())
        host.sinks[link] = bodies[link]
    begun = time.monotonic()
    count = 16 * MIB
    for link in range(5):
        host.send(b'GET /%d/%d HTTP/1.0\r\n\r\n' % (SEED + link, count), link)
    for link in range(5):
        while not bodies[link].is_whole():
            host.receive(link, host.received.get(link, 0) + 1, timeout=20)
    seconds = time.monotonic() - begun
    for link in range(5):
        expected = servers.sha256_of(servers.stream(SEED + link, count))
        assert (bodies[link].count, bodies[link].digest.hexdigest()) == (count, expected), f'link {link}'
    figure(f'5 x 16 MiB by +IPD at once: {5 * count / seconds / 1e6:.1f} MB/s')
    assert sorted(host.record() for _ in range(5)) == [closed(link) for link in range(5)]


def test_five_links_both_ways_at_once(host, serve, figure):
    """Each server sends its own stream while it takes another; nothing gets to a wrong link."""
    down, up = 2 * MIB, 1 * MIB
    sinks, sources = [], []
    host.command('AT+CIPMUX=1')
    for link in range(5):
        sink = servers.Sink()

        def talk(connection, sink=sink, seed=SEED + 10 + link):
            receiver = threading.Thread(target=sink, args=(connection,), daemon=True)
            receiver.start()
            for piece in servers.stream(seed, down):
                connection.sendall(piece)
            receiver.join(30)

        sinks.append(sink)
        sources.append(b''.join(servers.stream(SEED + 20 + link, up)))
        digest = hashlib.sha256()
        host.sinks[link] = digest.update
        sinks[link].host_digest = digest
        host.connect('127.0.0.1', serve(talk).port, link)
    begun = time.monotonic()
    for at in range(0, up, 2048):
        for link in range(5):
            host.send(sources[link][at:at + 2048], link)
    for link in range(5):
        host.receive(link, down, timeout=20)
    seconds = time.monotonic() - begun
    host.command('AT+CIPCLOSE=5')
    for link in range(5):
        assert host.received[link] == down
        assert sinks[link].host_digest.hexdigest() == servers.sha256_of(servers.stream(SEED + 10 + link, down))
        assert sinks[link].ended.wait(10)
        assert sinks[link].count == up
        assert sinks[link].digest.hexdigest() == hashlib.sha256(sources[link]).hexdigest(), f'link {link}'
    figure(f'5 links, {down >> 20} MiB down and {up >> 20} MiB up on each: {5 * (down + up) / seconds / 1e6:.1f} MB/s')


def test_host_that_reads_slowly(host, web):
    host.portion, host.pause_s = 512, 0.001
    host.connect('localhost', web.port)
    get(host, web, SEED, MIB)


def test_host_that_stops_reading_for_a_while(host, serve):
    count = 4 * MIB
    sent = []

    def talk(connection):
        for piece in servers.stream(SEED, count):
            connection.sendall(piece)
            sent.append(len(piece))
        connection.recv(1)

    digest = hashlib.sha256()
    host.sinks[0] = digest.update
    host.connect('127.0.0.1', serve(talk).port)
    host.receive(0, 10000)
    time.sleep(5)  # this is the test: nobody reads
    held = sum(sent)
    assert held < count, 'the server was not held back'
    host.receive(0, count, timeout=20)
    assert digest.hexdigest() == servers.sha256_of(servers.stream(SEED, count))
    host.command('AT')


def test_host_that_stops_reading_the_answers(host):
    """Commands whose answers nobody reads: the modem stops taking, and answers each one that it took."""
    asked = 0
    # The kernel keeps some for us in both directions; without end it is when this much is gone.
    limit = 100000
    while asked < limit:
        try:
            host.write(b'AT+GMR\r\n', timeout=0.3, listen=False)
        except modem.Late:
            break
        asked += 1
    assert 0 < asked < limit, 'the modem took commands without end'
    text = host.quiet(0.5)
    assert text.count(b'\r\nOK\r\n') > 0
    # What was read in one piece is one command and a "busy p..." for the rest; no answer is torn.
    rest = re.sub(rb'AT version:[^\r]*\r\nSDK version:[^\r]*\r\ncompile time[^\r]*\r\nBin version:[^\r]*\r\n'
                  rb'\r\nOK\r\n|\r\n(?:busy p\.\.\.|ERROR)\r\n', b'', text)
    assert rest == b'', rest[:300]
    host.command('AT')


def test_server_that_reads_slowly(host, serve, figure):
    """SEND OK waits for the network, and nothing is lost."""
    sink = servers.Sink(pause=lambda sink: time.sleep(0.002), portion=4096)
    host.connect('127.0.0.1', serve(sink, receive_buffer=4096).port)
    data = b''.join(servers.stream(SEED, 8 * MIB))
    slowest = 0
    for at in range(0, len(data), 2048):
        begun = time.monotonic()
        host.send(data[at:at + 2048], timeout=20)
        slowest = max(slowest, time.monotonic() - begun)
        if at == len(data) * 3 // 4:
            sink.pause = None
    host.command('AT+CIPCLOSE')
    assert sink.ended.wait(10)
    assert sink.count == len(data)
    assert sink.digest.hexdigest() == hashlib.sha256(data).hexdigest()
    figure(f'8 MiB to a slow server: the slowest SEND OK came after {slowest * 1000:.0f} ms')


def test_server_that_stops_reading(host, serve):
    """The modem holds the send back as long as the network does, and still takes and answers commands after it."""
    hold = [True]
    sink = servers.Sink(pause=lambda sink: [time.sleep(0.01) for _ in range(3000) if hold[0]])
    host.connect('127.0.0.1', serve(sink, receive_buffer=4096).port)
    piece = bytes(range(256)) * 8
    sent = 0
    stuck = False
    for _ in range(8192):
        host.begin_send(len(piece))
        host.write(piece)
        host.wait_for(b'Recv 2048 bytes')
        sent += len(piece)
        try:
            host.wait_for(b'SEND OK', timeout=0.5)
        except AssertionError:
            stuck = True
            break
    assert stuck, f'{sent} bytes went to a server that reads nothing'
    host.write(b'AT\r\n')
    assert host.wait_for(b'busy p...') == [b'busy p...']
    hold[0] = False
    host.wait_for(b'SEND OK')
    host.command('AT+CIPCLOSE')
    assert sink.ended.wait(10)
    assert sink.count == sent
    assert sink.digest.hexdigest() == hashlib.sha256(piece * (sent // len(piece))).hexdigest()


def test_end_of_the_server_comes_after_its_last_byte(host, serve):
    def talk(connection):
        connection.sendall(b'x' * 100000)

    host.connect('127.0.0.1', serve(talk).port)
    host.receive(0, 100000)
    assert host.wait_for(closed()) == [closed()]
    host.refused('AT+CIPSEND=1')


def test_close_while_data_goes_both_ways(host, serve):
    """What was answered SEND OK reaches the server, though bytes from it are left unread."""
    sink, go = servers.Sink(), threading.Event()

    def talk(connection):
        def give():
            try:
                while True:
                    connection.sendall(bytes(65536))
            except OSError:
                pass

        threading.Thread(target=give, daemon=True).start()
        go.wait(30)
        sink(connection)

    data = b''.join(servers.stream(SEED, 100000))
    host.connect('127.0.0.1', serve(talk, receive_buffer=4096).port)
    host.receive(0, 10000)
    host.send_all(data)
    host.command('AT+CIPCLOSE')
    go.set()
    assert sink.ended.wait(10)
    assert sink.count == len(data)
    assert sink.digest.hexdigest() == hashlib.sha256(data).hexdigest()

# SPDX-License-Identifier: MIT
"""Passive receive: the host fetches what came, and the network waits for it."""

import hashlib
import re
import threading
import time

import pytest

import servers

MIB = 1 << 20
SEED = 20210207
WINDOW = 5760


def sender(seed, count, go):
    """`go`: a notice that comes before the OK of CIPSTART would be taken for a part of its answer."""
    def talk(connection):
        go.wait(20)
        for piece in servers.stream(seed, count):
            connection.sendall(piece)

    return talk


def fetch(host, count, reads, link=None):
    """`count` bytes by AT+CIPRECVDATA; `reads` gives the length of each. Their SHA-256."""
    digest, got = hashlib.sha256(), 0
    notice = re.compile(rb'\+IPD,(?:%d,)?\d+' % (link or 0))
    while got < count:
        while not notice.fullmatch(host.record()):
            pass
        data = host.read_passive(reads(), link)
        assert data
        digest.update(data)
        got += len(data)
    assert got == count
    return digest.hexdigest()


@pytest.mark.limit(180)
def test_64_mib(open_modem, release, serve, figure):
    host = open_modem(program=release)
    count = 64 * MIB
    host.command('AT+CIPRECVMODE=1')
    go = threading.Event()
    host.connect('127.0.0.1', serve(sender(SEED, count, go)).port)
    go.set()
    begun = time.monotonic()
    digest = fetch(host, count, lambda: WINDOW)
    seconds = time.monotonic() - begun
    assert digest == servers.sha256_of(servers.stream(SEED, count))
    assert host.wait_for(b'CLOSED') == [b'CLOSED']
    figure(f'64 MiB by AT+CIPRECVDATA={WINDOW}: {count / seconds / 1e6:.1f} MB/s')


def test_reads_of_every_length(host, serve):
    """The notice comes once for each read, whatever its length."""
    count = MIB
    lengths = iter(range(1, 1 << 30, 37))
    host.command('AT+CIPRECVMODE=1')
    go = threading.Event()
    host.connect('127.0.0.1', serve(sender(SEED, count, go)).port)
    go.set()
    digest = fetch(host, count, lambda: 1 + next(lengths) % 7000)
    assert digest == servers.sha256_of(servers.stream(SEED, count))
    assert host.wait_for(b'CLOSED') == [b'CLOSED']


def test_network_waits_for_the_host(host, serve):
    """What is not fetched stays with the sender; CLOSED comes after the last byte."""
    count, done = 8 * MIB, threading.Event()

    def talk(connection):
        for piece in servers.stream(SEED, count):
            connection.sendall(piece)
        done.set()

    host.command('AT+CIPRECVMODE=1')
    host.connect('127.0.0.1', serve(talk).port)
    host.poll('AT+CIPRECVLEN?', b'+CIPRECVLEN:%d' % WINDOW)
    assert not done.wait(0.5), 'the modem took more than its window'
    host.command('AT+CIPRECVMODE=0')
    digest = hashlib.sha256()
    host.sinks[0] = digest.update
    host.receive(0, count)
    assert digest.hexdigest() == servers.sha256_of(servers.stream(SEED, count))
    assert host.wait_for(b'CLOSED') == [b'CLOSED']


def test_data_of_a_peer_that_is_gone(host, serve):
    """It can be read, link by link, and each CLOSED comes after the last byte of its link."""
    host.command('AT+CIPMUX=1')
    host.command('AT+CIPRECVMODE=1')
    go = threading.Event()
    for link in range(5):
        host.connect('127.0.0.1', serve(sender(SEED + link, 1000 + link, go)).port, link)
    go.set()
    for link in range(5):
        host.poll('AT+CIPRECVLEN?', b'+CIPRECVLEN:' + b','.join(
            b'%d' % (1000 + n) if n >= link else b'-1' for n in range(5)))
        assert host.read_passive(999, link) == b''.join(servers.stream(SEED + link, 1000 + link))[:999]
        assert host.read_passive(WINDOW, link) == b''.join(servers.stream(SEED + link, 1000 + link))[999:]
        host.wait_for(b'%d,CLOSED' % link)
    assert host.command('AT+CIPRECVLEN?') == [b'+CIPRECVLEN:-1,-1,-1,-1,-1']


def test_five_links(host, serve):
    """Fetched in turn while all of them send."""
    count = 200000
    host.command('AT+CIPMUX=1')
    host.command('AT+CIPRECVMODE=1')
    digests, got, go = [hashlib.sha256() for _ in range(5)], [0] * 5, threading.Event()
    for link in range(5):
        host.connect('127.0.0.1', serve(sender(SEED + link, count, go)).port, link)
    go.set()
    end = time.monotonic() + 30
    while min(got) < count:
        line = host.record(end - time.monotonic())
        found = re.fullmatch(rb'\+IPD,(\d),\d+', line)
        if not found:
            assert re.fullmatch(rb'\d,CLOSED', line), line
            continue
        link = int(found[1])
        data = host.read_passive(1460 * (link + 1), link)
        digests[link].update(data)
        got[link] += len(data)
    for link in range(5):
        assert got[link] == count
        assert digests[link].hexdigest() == servers.sha256_of(servers.stream(SEED + link, count))

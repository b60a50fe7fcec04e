# SPDX-License-Identifier: MIT
"""AT+PING with and without the right to, on loopback and over a cable to a namespace."""

import os
import re
import shutil
import socket
import time

import pytest

import modem
import namespaces

NO_RIGHT = 'no ping: this user may not send one'


def may_ping():
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP).close()
            return True
        except PermissionError:
            pass
    return False


def pinged(host, what):
    """Milliseconds."""
    answer = host.command(f'AT+PING="{what}"')
    assert len(answer) == 1, answer
    ms = int(re.fullmatch(rb'\+PING:(\d+)', answer[0])[1])
    assert ms >= 1
    return ms


def timed_out(host, what):
    """Seconds until the answer."""
    begun = time.monotonic()
    assert host.refused(f'AT+PING="{what}"') == [b'+PING:TIMEOUT']
    return time.monotonic() - begun


def test_loopback(host):
    if not may_ping():
        pytest.skip('this user may not ping')
    for _ in range(100):
        assert pinged(host, '127.0.0.1') < 1000
    pinged(host, 'localhost')
    pinged(host, '127.9.9.9')


@pytest.fixture
def without_raw_sockets(program):
    """The daemon without the right to open one, in words."""
    if os.geteuid() != 0:
        return [program]
    if not shutil.which('setpriv'):
        pytest.skip('setpriv is not installed')
    return ['setpriv', '--bounding-set', '-net_raw', program]


def test_peer_over_a_cable(open_modem, wire, program):
    """Answers, then silence, then answers again; and an address where nobody is."""
    host = open_modem('--iface', 'wire', program=[*wire.exec_words(wire.modem), program])
    for _ in range(10):
        pinged(host, namespaces.PEER)
    wire.must_run(wire.peer, 'sysctl', '-q', '-w', 'net.ipv4.icmp_echo_ignore_all=1')
    assert 0.9 < timed_out(host, namespaces.PEER) < 3
    wire.must_run(wire.peer, 'sysctl', '-q', '-w', 'net.ipv4.icmp_echo_ignore_all=0')
    pinged(host, namespaces.PEER)
    assert timed_out(host, namespaces.ABSENT) < 5
    # No route leads there.
    assert timed_out(host, '192.0.2.1') < 3
    pinged(host, namespaces.PEER)


def test_answers_get_lost(open_modem, wire, program):
    """One in three: what is answered is right, what is not takes a second, and the two are never taken for one another."""
    wire.filter(wire.modem, 'icmp type echo-reply numgen inc mod 3 == 1 counter drop')
    host = open_modem('--iface', 'wire', program=[*wire.exec_words(wire.modem), program])
    results = [host.ask(f'AT+PING="{namespaces.PEER}"')[-1] for _ in range(6)]
    assert results.count(b'ERROR') == 2 and results.count(b'OK') == 4
    assert wire.dropped(wire.modem) == 2


def test_without_the_right(open_modem, wire, without_raw_sockets):
    """In a new namespace nobody may ping without CAP_NET_RAW: the answer is at once, and the trace says what to do."""
    words = [*wire.exec_words(wire.modem), *without_raw_sockets]
    host = open_modem('--iface', 'wire', '--trace', program=words)
    assert timed_out(host, namespaces.PEER) < 1
    host.daemon.wait_until(lambda: NO_RIGHT in host.daemon.err.decode(), 'the trace says why')
    assert 'net.ipv4.ping_group_range' in host.daemon.err.decode()
    # What the trace advises helps, at once.
    wire.must_run(wire.modem, 'sysctl', '-q', '-w', 'net.ipv4.ping_group_range=0 2147483647')
    pinged(host, namespaces.PEER)
    pinged(host, '127.0.0.1')


def test_ten_modems_at_once(start_pty, wire, program):
    """Raw sockets see the answers to all of them."""
    daemon = start_pty('--iface', 'wire', '--count', 10, link='modem%d', wait_for='modem9',
                       program=[*wire.exec_words(wire.modem), program])
    hosts = [modem.open_port(str(daemon.link) % n) for n in range(10)]
    try:
        for host in hosts:
            host.prepare()
        for _ in range(10):
            for n, host in enumerate(hosts):
                host.write(b'AT+PING="%s"\r\n' % (namespaces.PEER if n % 2 else namespaces.MODEM).encode())
            for host in hosts:
                answer = host.wait_for(b'OK', b'ERROR')
                assert re.fullmatch(rb'\+PING:[1-9]\d*', answer[0]) and answer[-1] == b'OK', answer
    finally:
        for host in hosts:
            host.close()

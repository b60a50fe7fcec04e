# SPDX-License-Identifier: MIT
"""What a modem costs when it does nothing, and how much memory it holds."""

import contextlib
import pathlib
import socket
import time

import pytest

import modem
import servers
from authority import Tls


def cpu_ticks(pid):
    fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    return int(fields[11]) + int(fields[12])


def wake_ups(pid):
    """Times that any of its threads slept and was woken."""
    total = 0
    for task in pathlib.Path(f'/proc/{pid}/task').iterdir():
        for line in (task / 'status').read_text().splitlines():
            if line.startswith('voluntary_ctxt_switches'):
                total += int(line.split()[1])
    return total


def settled(pid):
    """Waits, at most 8 s, until it has done what it had to do: the last is to give back the memory of a stream that has been
    silent for a second."""
    last, quiet = wake_ups(pid), 0
    for _ in range(80):
        time.sleep(0.1)
        now = wake_ups(pid)
        quiet = quiet + 1 if now == last else 0
        if quiet == 12:
            return
        last = now
    pytest.fail('it never comes to rest')


def rests(pid, seconds=2):
    settled(pid)
    ticks, woken = cpu_ticks(pid), wake_ups(pid)
    time.sleep(seconds)  # this is the test: nothing happens
    assert cpu_ticks(pid) == ticks, 'it used the CPU'
    assert wake_ups(pid) == woken, f'it woke up {wake_ups(pid) - woken} times'


def test_idle(start_pty):
    rests(start_pty().pid)


def test_idle_with_a_host_and_links(start_pty, serve):
    daemon = start_pty()
    server = serve(servers.echo)
    with modem.open_port(daemon.link) as port:
        port.prepare(mux=True)
        for link in range(5):
            port.connect('localhost', server.port, link)
        rests(daemon.pid)


def test_idle_while_nobody_reads(start_pty, serve):
    """Data waits on both sides of a full modem: it sleeps until somebody reads."""
    def talk(connection):
        for piece in servers.stream(1, 8 << 20):
            connection.sendall(piece)

    daemon = start_pty()
    with modem.open_port(daemon.link) as port:
        port.prepare()
        port.connect('127.0.0.1', serve(talk).port)
        rests(daemon.pid)


def test_idle_with_tls(start_tls, serve, pki):
    """Links that are open, a handshake that stalls, and data that waits inside TLS for a host that does not read."""
    def talk(connection):
        for piece in servers.stream(1, 8 << 20):
            connection.sendall(piece)

    port = start_tls('--listen-address', '127.0.0.1', trace=False, mux=True)
    listener = servers.closed_port()
    port.command(f'AT+CIPSERVER=1,{listener},"SSL",1')
    for link in range(2):
        port.connect('localhost', serve(Tls(pki.server(), servers.echo)).port, link, kind='SSL')
    with socket.create_connection(('127.0.0.1', listener)):
        rests(port.daemon.pid)
    port.connect('localhost', serve(Tls(pki.server(), talk)).port, 2, kind='SSL')
    rests(port.daemon.pid)
    port.receive(2, 8 << 20, timeout=30)


def test_idle_after_the_host_closed(start_pty):
    daemon = start_pty()
    for _ in range(3):
        with modem.open_port(daemon.link) as port:
            port.command('ATE0')
    rests(daemon.pid)


def test_idle_on_a_pace(start_pty):
    daemon = start_pty('--baud', 9600)
    with modem.open_port(daemon.link) as port:
        port.command('ATE0')
        rests(daemon.pid)


def test_resident_memory(start_pty, serve, release, figure):
    """At most 8 MiB with one modem, also after it worked."""
    daemon = start_pty(program=release)
    fresh = daemon.resident_kib()
    server = serve(servers.echo)
    with modem.open_port(daemon.link) as port:
        port.prepare(mux=True)
        for link in range(5):
            port.connect('localhost', server.port, link)
        for turn in range(40):
            port.send(bytes(2048), turn % 5)
        for link in range(5):
            port.receive(link, 8 * 2048)
        busy = daemon.resident_kib()
    figure(f'resident: {fresh} KiB at rest, {busy} KiB with five links that worked')
    assert fresh <= 8192 and busy <= 8192


def test_resident_memory_with_tls(start_tls, serve, pki, release, figure):
    """Nothing of it is there before it is needed."""
    port = start_tls(trace=False, mux=True, program=release)
    fresh = port.daemon.resident_kib()
    server = serve(Tls(pki.server(), servers.echo))
    port.command('AT+CIPSSLCCONF=5,3,0,0')
    sizes = []
    for link in range(5):
        port.connect('localhost', server.port, link, kind='SSL')
        port.send(bytes(2048), link)
        port.receive(link, 2048)
        sizes.append(port.daemon.resident_kib())
    figure(f'resident: {fresh} KiB without TLS, {sizes[0]} KiB with one SSL link, {sizes[4]} KiB with five')
    assert fresh <= 8192 and sizes[4] <= 16384


def test_resident_memory_of_many_modems(start_pty, folder, serve, release, figure):
    """At most 64 KiB for each beyond the first, with a link that carried more than its buffers hold in both directions."""
    def used_by(count):
        names = folder / str(count)
        names.mkdir()
        daemon = start_pty('--count', count, link=f'{count}/%d', wait_for=f'{count}/{count - 1}', program=release)
        rest = daemon.resident_kib()
        with contextlib.ExitStack() as opened:
            ports = [opened.enter_context(modem.open_port(names / str(i))) for i in range(count)]
            for port in ports:
                port.prepare()
                port.connect('127.0.0.1', server.port)
                for turn in range(5):
                    port.send(bytes(2048))
                    port.receive(0, (turn + 1) * 2048)
            return rest, daemon.resident_kib()

    server = serve(servers.echo)
    rest, used = ((many - one) / 99 for one, many in zip(used_by(1), used_by(100)))
    figure(f'resident: {rest:.1f} KiB for each further modem at rest, {used:.1f} KiB when it is used')
    assert used <= 64


def test_memory_of_a_stream_is_given_back(start_pty, serve, release):
    """A stream that the host takes slowly fills the wide window; when all is quiet, it is no memory any more."""
    total = 1 << 20
    server = serve(lambda connection: connection.sendall(bytes(total)))
    daemon = start_pty(program=release)
    with modem.open_port(daemon.link) as port:
        port.prepare()
        port.command('AT')
        before = daemon.resident_kib()
        port.connect('127.0.0.1', server.port)
        daemon.wait_until(lambda: daemon.resident_kib() >= before + 48, 'its window is full')
        port.receive(0, total)
        daemon.wait_until(lambda: daemon.resident_kib() <= before + 32, 'its memory is given back')


def test_memory_does_not_grow(start_pty, serve, release):
    daemon = start_pty(program=release)
    server = serve(servers.echo)
    with modem.open_port(daemon.link) as port:
        port.prepare()

        def work(turns):
            for _ in range(turns):
                port.connect('localhost', server.port)
                got = port.received.get(0, 0)
                port.send(bytes(2048))
                port.receive(0, got + 2048)
                port.command('AT+CIPCLOSE')

        work(100)
        before = daemon.resident_kib()
        work(500)
        assert daemon.resident_kib() - before <= 128

# SPDX-License-Identifier: MIT
"""Every system call of the daemon fails once: it goes on as if nothing had been, or says what it could not do.

ESPAT_TORTURE=all plays every fault (of a call that is made over and over in a row those of the first and the last few),
ESPAT_TORTURE=memory those of memory alone; else a choice, the same one each time. ESPAT_TORTURE="tcp read/terminal 7 4"
plays that one again (4: the errno, or "short" and the like)."""

import collections
import contextlib
import errno
import functools
import json
import os
import random
import socket
import ssl
import tty
import zlib

import pytest

import flash_image
import modem
import servers
import torture
import update_server
from test_names import Question

pytestmark = pytest.mark.torture

CHOICE = os.environ.get('ESPAT_TORTURE', '')
# How many faults of each scenario are played when not all are.
SHARE = int(os.environ.get('ESPAT_TORTURE_SHARE', '6'))
DATA = random.Random(1).randbytes(3000)
# An echo by UDP on this machine that is not there by then will not come.
LOST_S = 1
# The daemon closes its output when it ends.
END_S = 1


# ---- peers

class Echo:
    """Sends back what comes, on TCP; `got` holds it."""

    def __init__(self, run, context=None):
        self.got = bytearray()
        self._context = context
        self.server = servers.TcpServer(self._serve)
        self.port = self.server.port
        run.stack.callback(self.server.close)

    def _serve(self, connection):
        if self._context:
            connection = self._context.wrap_socket(connection, server_side=True)
        while True:
            piece = connection.recv(65536)
            if not piece:
                return
            self.got += piece
            connection.sendall(piece)

    def end(self):
        """Closes the newest connection."""
        self.server.connections[-1].shutdown(socket.SHUT_RDWR)


def client(port):
    connection = socket.create_connection(('127.0.0.1', port), 5)
    connection.settimeout(torture.PATIENCE_S)
    return connection


def take(run, connection, got, count):
    """Until so many bytes came to the client."""
    end = len(got) + count
    while len(got) < end:
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:
            piece = b''
        if not piece:
            raise torture.Trouble(f'the client was closed with {len(got)} of {end} bytes')
        got += piece


def closed(host, line):
    """The peer closed the link, which is no trouble."""
    while host.record(torture.PATIENCE_S) != line:
        pass


def heard(run, link):
    """What the hosts got on this link, all in all."""
    return b''.join(line[1] for line in run.lines if line[0] == link)


def is_prefix(run, got, sent, what):
    """Nothing is invented, and what is missing was reported."""
    assert sent.startswith(bytes(got)), f'{what}: bytes that nobody sent so'
    assert run.trouble or len(got) == len(sent), f'{what}: {len(sent) - len(got)} bytes are lost, and nobody said so'


# ---- scenarios

def opened(run):
    """The host comes, asks, goes, and comes again."""
    run.start('--join', 'net')
    for _ in range(2):
        host = run.open()
        if not host:
            return
        host.do('AT')
        host.do('AT+CMD?')
        run.detach()


def several(run):
    """Three modems in one process; one that does not come up keeps the others from it."""
    run.link = run.folder / 'modem2'
    run.start(f'--pty={run.folder}/modem%d', '--count', 3, link=False)
    if not run.is_ready():
        return
    for number in range(3):
        run.link = run.folder / f'modem{number}'
        host = run.open()
        if not host:
            return
        host.do('AT+CWMODE=3')
        run.detach()


def settings(run):
    """Each OK is a store."""
    known, tried = [0], []

    def kept():
        with torture.open_host(run.link) as host:
            host.do('ATE0')
            host.write(b'AT+CWRECONNCFG?\r\n')
            number = int(host.expect(b'OK')[-2].rsplit(b',', 1)[1])
        assert number in (known[-1], *tried), f'{number} is kept, {known} was answered OK'
        names = {path.name for path in run.state.iterdir()}
        assert names <= {'lock', 'settings.json'}, names
        if len(known) > 1:
            assert json.loads((run.state / 'settings.json').read_text())

    run.checks.append(kept)
    run.start()
    host = run.open()
    if not host:
        return
    for number in (5, 6, 7):
        tried[:] = [number]
        host.do(f'AT+CWRECONNCFG=3,{number}')
        known.append(number)
        tried.clear()
    run.detach()


def join(run, *args, **more):
    """The daemon is started, and its host joined. None: it refused to start."""
    run.start('--join', 'net', *args, **more)
    host = run.open()
    if host:
        host.do('AT+CWJAP="net"')
    return host


def tcp(run):
    """A link there and back, closed by the modem, and one that the peer closes."""
    echo = Echo(run)
    host = join(run)
    if not host:
        return
    run.checks.append(lambda: is_prefix(run, echo.got, DATA + b'more', 'the peer'))
    run.checks.append(lambda: is_prefix(run, heard(run, 0), DATA + b'more', 'the host'))
    host.do(f'AT+CIPSTART="TCP","127.0.0.1",{echo.port}', b'CONNECT')
    host.give(DATA[:2048])
    host.give(DATA[2048:])
    host.hear(0, len(DATA))
    host.hang_up()
    host.do(f'AT+CIPSTART="TCP","127.0.0.1",{echo.port}', b'CONNECT')
    host.give(b'more')
    host.hear(0, len(DATA) + 4)
    echo.end()
    closed(host, b'CLOSED')
    run.detach()


def udp(run):
    """Datagrams are lost one at a time, but not cut, and none comes twice."""
    sent = [DATA[:100], DATA[100:1500], DATA[1500:1501]]
    came = []

    def answer(datagram, _):
        came.append(datagram)
        return [datagram]

    server = servers.UdpServer(answer)
    run.stack.callback(server.close)
    host = join(run)
    if not host:
        return
    datagrams = modem.Datagrams(host)

    def in_order():
        for got, what in ((came, 'the peer'), ([bytes(data) for data in datagrams.all], 'the host')):
            rest = iter(sent)
            assert all(data in rest for data in got), f'{what} got {[len(data) for data in got]} bytes'

    run.checks.append(in_order)
    host.do(f'AT+CIPSTART="UDP","127.0.0.1",{server.port}', b'CONNECT')
    for number, data in enumerate(sent):
        host.give(data)
        try:
            datagrams.wait_for(number + 1, timeout=LOST_S)
        except modem.Late:
            # A datagram may be lost; it is said in the trace alone.
            if not run.fault or run.fault.how in torture.INVISIBLE:
                raise
            run.trouble = 'a datagram is lost'
            return
    host.hang_up()
    run.lines.append(came)
    run.detach()


def server(run):
    """Two clients of a server, one after the other."""
    host = join(run, '--listen-address', '127.0.0.1')
    if not host:
        return
    port = servers.free_port()
    got = bytearray()
    run.checks.append(lambda: is_prefix(run, heard(run, 0), DATA[:1000] + b'again', 'the host'))
    run.checks.append(lambda: is_prefix(run, got, DATA[1000:] + b'again', 'the client'))
    host.do('AT+CIPMUX=1')
    host.do(f'AT+CIPSERVER=1,{port}')
    heard_by_host = 0
    for to_modem, to_client in ((DATA[:1000], DATA[1000:]), (b'again', b'again')):
        with client(port) as connection:
            host.expect(b'0,CONNECT')
            connection.sendall(to_modem)
            heard_by_host += len(to_modem)
            host.hear(0, heard_by_host)
            host.give(to_client, 0)
            take(run, connection, got, len(to_client))
        closed(host, b'0,CLOSED')
    host.do('AT+CIPSERVER=0')
    run.detach()


def passthrough(run):
    """Bytes both ways, and a link that the peer closes meanwhile, which is opened again."""
    echo = Echo(run)
    host = join(run)
    if not host:
        return
    answers, got = bytearray(), bytearray()
    run.checks.append(lambda: is_prefix(run, answers, DATA, 'the host'))
    run.checks.append(lambda: is_prefix(run, got, DATA, 'the peer'))
    host.do('AT+SYSMSG=1')
    host.do(f'AT+CIPSTART="TCP","127.0.0.1",{echo.port}', b'CONNECT')
    host.do('AT+CIPMODE=1')
    host.write(b'AT+CIPSEND\r\n')
    host.expect(b'>')
    for at, end in ((0, 2000), (2000, len(DATA))):
        host.write(DATA[at:end])
        try:
            host.listen(end - at)
        except modem.Late:
            # It is lost with its link, which is opened again without a word: documented.
            if not run.fault or run.fault.how in torture.INVISIBLE or len(echo.server.connections) < 2:
                raise
            run.trouble = 'the link was lost'
            break
        answers += host.take(end - at)
    got += echo.got  # what comes later is of a host that tries to get out
    if run.trouble:
        return
    assert host.leave_passthrough() == b''
    host.hang_up()
    run.detach()


def tls(run):
    """An SSL link that verifies its peer."""
    run.torturer.pki.install(run.state, client_ca_0='root')
    echo = Echo(run, run.torturer.pki.server())
    host = join(run)
    if not host:
        return
    run.checks.append(lambda: is_prefix(run, echo.got, DATA, 'the peer'))
    run.checks.append(lambda: is_prefix(run, heard(run, 0), DATA, 'the host'))
    host.do('AT+CIPSSLCCONF=2,0,0')
    host.do(f'AT+CIPSTART="SSL","127.0.0.1",{echo.port}', b'CONNECT')
    host.give(DATA[:2000])
    host.give(DATA[2000:])
    host.hear(0, len(DATA))
    host.hang_up()
    run.detach()


def tls_server(run):
    """A client of an SSL server."""
    run.torturer.pki.install(run.state, server_cert_0='server', server_key_0='server', server_ca_0='root')
    host = join(run, '--listen-address', '127.0.0.1')
    if not host:
        return
    port = servers.free_port()
    got = bytearray()
    run.checks.append(lambda: is_prefix(run, heard(run, 0), DATA[:1000], 'the host'))
    run.checks.append(lambda: is_prefix(run, got, DATA[1000:], 'the client'))
    host.do('AT+CIPMUX=1')
    host.do(f'AT+CIPSERVER=1,{port},"SSL",0')
    try:
        context = run.torturer.pki.client()
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # in which a client knows that it was taken
        connection = context.wrap_socket(client(port), server_hostname='localhost')
    except OSError as error:
        raise torture.Trouble(f'no handshake: {error}') from None
    with connection:
        host.expect(b'0,CONNECT')
        connection.sendall(DATA[:1000])
        host.hear(0, 1000)
        host.give(DATA[1000:], 0)
        take(run, connection, got, 2000)
    closed(host, b'0,CLOSED')
    host.do('AT+CIPSERVER=0')
    run.detach()


def names(run):
    """A name that a server of ours knows."""
    resolver = servers.UdpServer(lambda message, _: [Question(message).address()])
    run.stack.callback(resolver.close)
    host = join(run, '--dns-port', resolver.port)
    if not host:
        return
    host.do('AT+CIPDNS=1,"127.0.0.1"')
    host.write(b'AT+CIPDOMAIN="some.example"\r\n')
    assert b'+CIPDOMAIN:"127.0.0.1"' in host.expect(b'OK'), host.lines
    run.detach()


def station(run):
    """What asks the machine: addresses, a ping, the time."""
    clock = servers.UdpServer(lambda *_: [])
    run.stack.callback(clock.close)
    host = join(run, '--sntp-port', clock.port)
    if not host:
        return
    host.do('AT+CIFSR')
    host.write(b'AT+PING="127.0.0.1"\r\n')
    host.expect(b'OK')
    host.lines[-3:-1] = []  # how long it took
    host.do('AT+CIPSNTPCFG=1,0,"127.0.0.1"')
    run.detach()


def tcp_port(run):
    """The host comes by TCP, goes, and comes again."""
    port = servers.free_port()
    run.reopen = lambda: torture.open_socket(('127.0.0.1', port))
    by_socket(run, '--tcp', port)


def unix_port(run):
    """The host comes by a UNIX socket."""
    run.link = run.folder / 'socket'
    run.reopen = lambda: torture.open_socket(run.link)
    by_socket(run, '--unix', run.link)


def by_socket(run, option, value):
    run.start(option, value, '--join', 'net', link=False)
    for _ in range(2):
        host = run.open()
        if not host:
            return
        host.do('AT+CMD?')
        run.detach()


def stdio(run):
    """The host is on standard input, a socket, and standard output, a pipe. What it asks before it closes is answered."""
    ours, theirs = socket.socketpair()
    reading, output = os.pipe()
    reader = os.fdopen(reading, 'rb', buffering=0)
    for end in (ours, reader):
        run.stack.callback(end.close)
    run.reopen = lambda: torture.Host(reader.fileno(), ours.fileno(), None)
    run.ready_text, run.messages = 'modem on', ('2',)
    run.spare = 1  # when the pipe cannot be opened once more, it is used as it is

    def finish():
        host = run.reopen()
        host.write(b'AT+CMD?\r\n')
        ours.close()
        host.expect(b'OK')
        with contextlib.suppress(torture.Cut):
            host.quiet(END_S)
        assert host.at_end, 'its output does not end'

    run.end = finish
    with theirs:
        run.start('--stdio', link=False, stdin=theirs, stdout=output)
    os.close(output)
    by_line(run)


def serial(run):
    """The host is at the other end of a serial line, whose rate it changes."""
    ours, theirs = os.openpty()
    tty.setraw(ours)
    run.stack.callback(os.close, ours)
    run.reopen = lambda: torture.Host(ours, ours, None)
    run.ready_text = 'modem on'
    run.start('--serial', os.ttyname(theirs), link=False)
    by_line(run, 'AT+UART_CUR=57600,8,1,0,1', theirs=theirs)


def by_line(run, *more, theirs=None):
    """What a host does that is there from the beginning to the end. `theirs`: the daemon's end of a line, which must not
    be there without it, for then the host would not see that it is gone."""
    run.only_host = True
    is_ready = run.is_ready()
    if theirs is not None:
        os.close(theirs)
    if not is_ready:
        return
    run.attach(run.reopen())
    run.host.expect(b'ready')
    for line in ('ATE0', *more, 'AT+CMD?', 'AT'):
        run.host.do(line)
    run.detach()


class Items:
    """The two items of the partition client_cert, which are to be replaced. Each is the old one or the new one, whole; both
    are, as soon as the next daemon had a look at them; and nothing else is left by then."""

    def __init__(self, run, may_be_half):
        self.may_be_half = may_be_half  # a flash that the host may go on to write
        self.folder = run.state / 'certificates'
        self.pem = run.torturer.pki.cert('client').read_bytes()
        self.is_new = False      # which was said
        self.old, self.new = self.image(b'# old\n'), self.image(b'# new\n')
        self.folder.mkdir(mode=0o700, parents=True)
        for number in range(2):
            self.path(number).write_bytes(b'# old\n' + self.pem)
        run.checks.append(self.are_whole)
        run.afterwards.append(lambda: self.are_one(run))

    def path(self, number):
        return self.folder / f'client_cert.{number}.pem'

    def image(self, mark):
        return flash_image.partition(*((flash_image.CERT, number, mark + self.pem) for number in range(2)))

    def are_whole(self):
        for number in range(2):
            text = self.path(number).read_bytes()
            assert text in [b'# new\n' + self.pem] + [b'# old\n' + self.pem] * (not self.is_new), text

    def are_one(self, run):
        host = run.next()
        self.are_whole()
        assert self.path(0).read_bytes() == self.path(1).read_bytes(), 'one is old and one is new'
        names = {path.name for path in self.folder.iterdir()}
        left = {'client_cert.bin'} if self.may_be_half and not self.is_new else set()
        assert names <= {self.path(0).name, self.path(1).name} | left, names
        if not left:
            assert self.read(host) in [self.new] + [self.old] * (not self.is_new)

    @staticmethod
    def read(host):
        head = b'+SYSFLASH:%d,' % flash_image.BYTES
        host.write(b'AT+SYSFLASH=2,"client_cert",0,%d\r\n' % flash_image.BYTES)
        while not host.pending.startswith(head):
            if b'ERROR\r\n' in host.pending:
                raise torture.Trouble('it is not read')
            assert host.read(torture.PATIENCE_S), f'{bytes(host.pending)} is the answer to a read'
        host.take(len(head))
        data = host.take(flash_image.BYTES)
        host.expect(b'OK')
        return data


def sysflash(run):
    """A partition of certificates is read, erased, written in two pieces, and read again."""
    items = Items(run, may_be_half=True)
    half = flash_image.BYTES // 8
    run.start()
    host = run.open()
    if not host:
        return
    assert items.read(host) == items.old
    host.do('AT+SYSFLASH=0,"client_cert"')
    for at, piece in ((0, items.new[:half]), (half, items.new[half:])):
        host.write(b'AT+SYSFLASH=1,"client_cert",%d,%d\r\n' % (at, len(piece)))
        host.expect(b'>')
        host.write(piece)
        host.expect(b'OK')
    items.is_new = True
    assert items.read(host) == items.new
    run.detach()


@functools.cache
def signature(signer, image):
    return signer.sign(image)


def update(run):
    """A partition of certificates comes from a server, which is asked for its newest version before."""
    items = Items(run, may_be_half=False)
    run.spare = 1  # libuv keeps one from the first update on
    served = update_server.UpdateServer()
    run.stack.callback(served.close)
    served.files = {'client_cert.bin': items.new, 'client_cert.bin.sig': signature(run.torturer.signer, items.new)}
    host = join(run, '--ota-url', f'http://127.0.0.1:{served.port}', '--ota-key', run.torturer.signer.public)
    if not host:
        return
    run.checks.append(lambda: run.wait_until(lambda: not run.children(), 'espat-fetch ends'))
    host.write(b'AT+CIUPDATE=0,,"client_cert"\r\n')
    host.expect(b'OK')
    items.is_new = True
    run.detach()


def fetch(run):
    """An update of which the program fails that brings it."""
    run.victim, run.messages = 'espat-fetch', ()
    update(run)


SCENARIOS = [opened, several, settings, tcp, udp, server, passthrough, tls, tls_server, names, station, tcp_port, unix_port,
             stdio, serial, sysflash, update, fetch]


# ---- what is played

# Faults that the daemon once did not bear: they are always played, whichever call of that name it is.
FOUND = {
    'opened': [('read/terminal', 'late'), ('epoll_create1', errno.EMFILE), ('write/file', errno.EINTR), ('write/file', 'one'),
               ('openat', errno.EINTR), ('writev/terminal', errno.ENOMEM)],
    'settings': [('openat', errno.EINTR), ('fsync/file', errno.EINTR), ('close/file', errno.EINTR)],
    'tcp': [('connect/stream', errno.EINTR)],
    'tls_server': [('openat', errno.EINTR)],
    'station': [('send/raw', errno.EINTR)],
    'update': [('pread/file', 'one')],
    'fetch': [('write/stream', errno.EINTR)],
    'sysflash': [('fcntl/folder', errno.EMFILE)],
    'stdio': [('openat', errno.EINTR), ('read/stream', errno.ENOMEM)],
    'unix_port': [('read/stream', errno.ENOMEM), ('writev/stream', errno.ENOBUFS)],
}


def first_of_memory(calls, faults, known):
    """Of the faults of memory the first at each place of the program that no scenario before had; `known` holds those."""
    counts, first = collections.Counter(), []
    places = {}
    for call in calls:
        counts[call.name] += 1
        places[call.name, counts[call.name]] = call.caller
    for fault in faults:
        place = places[fault.call, fault.k]
        if fault.call in torture.MEMORY and place not in known:
            known.add(place)
            first.append(fault)
    return first


def choose(scenario, faults, calls, known):
    """A share of the faults that is the same in each run, and other ones in each scenario; and each place that asks for
    memory in one scenario."""
    name = scenario.__name__
    found = [fault for fault in faults if (fault.call, fault.how) in FOUND.get(name, [])]
    found += [fault for fault in first_of_memory(calls, faults, known) if fault not in found]
    others = sorted(set(faults) - set(found), key=lambda fault: zlib.crc32(f'{name} {fault}'.encode()))
    return found + others[:SHARE]


def begins(calls):
    """How many of the calls come before the host is there."""
    return next((i for i, call in enumerate(calls) if call.name in ('read/terminal', 'accept4/stream')), len(calls))


@pytest.mark.limit(7200)
@pytest.mark.parametrize('scenario', SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_each_call_fails_once(torturer, scenario, figure):
    words = CHOICE.split()
    if len(words) == 4 and words[0] != scenario.__name__:
        pytest.skip('another one is asked for')
    clean, wrong = torturer.play(scenario)
    if wrong:
        pytest.fail(f'with no fault at all: {wrong}', pytrace=False)
    calls = clean.calls()
    # Every daemon starts in the same way, which one scenario for each way to start is enough for.
    first = 0 if scenario in (opened, several, tcp_port, unix_port, stdio, serial, fetch) else begins(calls)
    faults = torture.plan(calls, first)
    every = len(faults)
    if len(words) == 4:
        faults = [torture.Fault(words[1], int(words[2]), int(words[3]) if words[3].isdigit() else words[3])]
    elif CHOICE == 'memory':
        faults = [fault for fault in faults if fault.call in torture.MEMORY]
    elif CHOICE != 'all':
        faults = choose(scenario, faults, calls, torturer.places_of_memory)
    failures, missed, aborted, refused, gone = [], 0, 0, 0, 0
    for fault in faults:
        run, wrong = torturer.play(scenario, fault, clean)
        missed += run.struck() is None or run.struck().sign == '='
        aborted += run.aborted
        refused += run.refused
        gone += run.gone
        if wrong:
            failures.append(f'ESPAT_TORTURE="{scenario.__name__} {fault.call} {fault.k} {fault.how}" '
                            f'({torture.name_of(fault.how)}, {run.where()}): {wrong}')
            figure(failures[-1])
        run.forget()
    figure(f'{scenario.__name__}: {len(calls)} calls, {len(faults)} of {every} faults: {missed} not reached, '
           f'{refused} refused to start, {gone} lost their only host, {aborted} ended by libuv, {len(failures)} wrong')
    if failures:
        pytest.fail(f'{len(failures)} faults are not borne', pytrace=False)

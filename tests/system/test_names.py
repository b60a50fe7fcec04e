# SPDX-License-Identifier: MIT
"""Names: by dnsmasq, as it is packaged, and by servers that do everything wrong."""

import socket
import struct
import time

import pytest

import modem
import servers

A, CNAME, AAAA = 1, 5, 28
NO_NAME, TRUNCATED = 3, 0x0200
LIMIT_S = 10  # of one name, ESPAT_CFG_RESOLVE_LIMIT_MS


def encode(name):
    return b''.join(bytes([len(label)]) + label.encode() for label in name.split('.')) + b'\0'


class Question:
    def __init__(self, message):
        self.id = struct.unpack('>H', message[:2])[0]
        labels, at = [], 12
        while message[at]:
            labels.append(message[at + 1:at + 1 + message[at]].decode())
            at += 1 + message[at]
        self.name = '.'.join(labels)
        self.type = struct.unpack('>H', message[at + 1:at + 3])[0]
        self.bytes = message[12:at + 5]

    def answer(self, records=(), wrong_id=False, flags=0, name=None):
        """`records`: (owner, type, data)."""
        question = encode(name) + self.bytes[-4:] if name else self.bytes
        head = struct.pack('>HHHHHH', self.id ^ (0x5555 if wrong_id else 0), 0x8180 | flags, 1, len(records), 0, 0)
        return head + question + b''.join(
            encode(owner) + struct.pack('>HHIH', kind, 1, 60, len(data)) + data for owner, kind, data in records)

    def address(self, ip='127.0.0.1', **more):
        if self.type != A:
            return self.answer(**more)
        return self.answer([(self.name, A, socket.inet_aton(ip))], **more)


@pytest.fixture
def ask_python(serve_udp, open_modem):
    """ask_python(answer): a modem whose DNS server calls answer(Question) and sends what it gives, a list."""
    def begin(answer):
        server = serve_udp(lambda message, address: answer(Question(message)))
        host = open_modem('--dns-port', server.port)
        host.command('AT+CIPDNS=1,"127.0.0.1"')
        host.server = server
        return host

    return begin


@pytest.fixture
def dnsmasq(run):
    """dnsmasq(options...): its port."""
    def begin(*options):
        port = servers.free_port()
        process = run('dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--pid-file=', '--user=', '--group=',
                      '--no-resolv', '--no-hosts', '--bind-interfaces', '--listen-address=127.0.0.1', f'--port={port}',
                      *options)
        query = struct.pack('>HHHHHH', 1, 0x0100, 1, 0, 0, 0) + encode('ready.test') + struct.pack('>HH', A, 1)
        servers.wait_for_answer(process, port, query)
        return port

    return begin


# ---------------------------------------------------------------- dnsmasq

def test_names_by_dnsmasq(open_modem, dnsmasq, serve):
    port = dnsmasq('--host-record=one.espat.test,127.0.0.1', '--cname=other.espat.test,one.espat.test',
                   '--host-record=two.espat.test,127.0.0.2', '--address=/deep.test/127.0.0.3', '--local=/test/')
    host = open_modem('--dns-port', port)
    host.command('AT+CIPDNS=1,"127.0.0.1"')
    for name, ip in (('one.espat.test', b'127.0.0.1'), ('other.espat.test', b'127.0.0.1'), ('two.espat.test', b'127.0.0.2'),
                     ('ONE.Espat.TEST', b'127.0.0.1'), ('a.b.c.deep.test', b'127.0.0.3'), ('127.0.0.9', b'127.0.0.9')):
        assert host.command(f'AT+CIPDOMAIN="{name}"') == [b'+CIPDOMAIN:"%s"' % ip]
    host.refused('AT+CIPDOMAIN="nobody.espat.test"')
    host.connect('other.espat.test', serve(servers.echo).port)
    host.send(b'hello')
    host.receive(0, 5)
    host.command('AT+CIPCLOSE')
    host.refused('AT+CIPSTART="TCP","nobody.espat.test",80')
    with servers.udp_socket() as peer:
        host.connect_udp('one.espat.test', peer.getsockname()[1])
        host.send(b'by name')
        assert peer.recv(100) == b'by name'


def test_servers_are_used_at_once_and_after_a_restart(start_pty, dnsmasq, folder):
    """Those of AT+CIPDNS: by the next question, after AT+RST and in the next process; and no longer after =0."""
    port = dnsmasq('--host-record=one.espat.test,127.0.0.1', '--local=/test/')
    args = ('--state', folder / 'state', '--dns-port', port)
    ask, answer = 'AT+CIPDOMAIN="one.espat.test"', [b'+CIPDOMAIN:"127.0.0.1"']
    daemon = start_pty(*args, state=True)
    with modem.open_port(daemon.link) as host:
        host.prepare()
        host.command('AT+CIPDNS=1,"127.0.0.9","127.0.0.1"')  # nobody is at the first
        assert host.command(ask) == answer
        host.command('AT+CIPDNS=1,"127.0.0.1"')
        assert host.command(ask) == answer
        host.command('AT+RST')
        host.wait_for(b'ready')
        host.prepare()
        assert host.command(ask) == answer
    assert daemon.end() == 0
    daemon = start_pty(*args, state=True)
    with modem.open_port(daemon.link) as host:
        host.prepare()
        assert host.command('AT+CIPDNS?') == [b'+CIPDNS:1,"127.0.0.1"']
        assert host.command(ask) == answer
        host.command('AT+CIPDNS=1,"127.0.0.9"')
        host.refused(ask)


def test_ten_modems_ask_at_once(start_pty, dnsmasq):
    """Each gets its own answer."""
    port = dnsmasq(*[f'--host-record=n{n}.espat.test,127.0.1.{n}' for n in range(10)], '--local=/test/')
    daemon = start_pty('--count', 10, '--dns-port', port, link='modem%d', wait_for='modem9')
    hosts = [modem.open_port(str(daemon.link) % n) for n in range(10)]
    try:
        for host in hosts:
            host.prepare()
            host.command('AT+CIPDNS=1,"127.0.0.1"')
        for turn in range(10):
            for n, host in enumerate(hosts):
                host.write(b'AT+CIPDOMAIN="n%d.espat.test"\r\n' % ((n + turn) % 10))
            for n, host in enumerate(hosts):
                assert host.wait_for(b'OK', b'ERROR') == [b'+CIPDOMAIN:"127.0.1.%d"' % ((n + turn) % 10), b'OK']
    finally:
        for host in hosts:
            host.close()


# ---------------------------------------------------------------- servers that do everything wrong

def test_silent_server(ask_python, figure):
    """ERROR after the limit, "busy p..." until then, and the next command works."""
    host = ask_python(lambda question: [])
    begun = time.monotonic()
    host.write(b'AT+CIPDOMAIN="espat.test"\r\n')
    host.daemon.wait_until(lambda: host.server.asked, 'the server is asked')
    host.write(b'AT\r\n')
    assert host.wait_for(b'busy p...', b'OK', b'ERROR') == [b'busy p...']
    assert host.wait_for(b'OK', b'ERROR', timeout=LIMIT_S + 5) == [b'ERROR']
    seconds = time.monotonic() - begun
    figure(f'a DNS server that is silent: ERROR after {seconds:.2f} s, asked {len(host.server.asked)} times')
    assert LIMIT_S - 1 < seconds < LIMIT_S + 2
    assert len(host.server.asked) >= 2, 'a lost packet would have cost it all'
    host.command('AT')


def test_a_lost_question_is_asked_again(ask_python):
    seen = []

    def answer(question):
        seen.append(question.name)
        return [] if len(seen) == 1 else [question.address()]

    host = ask_python(answer)
    begun = time.monotonic()
    assert host.command('AT+CIPDOMAIN="espat.test"') == [b'+CIPDOMAIN:"127.0.0.1"']
    assert time.monotonic() - begun < 6


@pytest.mark.parametrize('lie', ['id', 'name', 'rubbish', 'short', 'empty'])
def test_lies_before_the_truth(ask_python, lie):
    """Answers to other questions, and what is no answer, are not believed; the real one is."""
    def answer(question):
        lies = {
            'id': [question.address('127.6.6.6', wrong_id=True)],
            'name': [question.address('127.6.6.6', name='other.test')],
            'rubbish': [bytes([n % 256]) * n for n in range(1, 600, 7)],
            'short': [question.address('127.6.6.6')[:n] for n in range(1, 12)],
            'empty': [b''],
        }[lie]
        return [*lies, question.address('127.0.0.5')]

    host = ask_python(answer)
    begun = time.monotonic()
    answer = host.ask('AT+CIPDOMAIN="espat.test"', timeout=LIMIT_S + 2)
    assert time.monotonic() - begun < LIMIT_S + 1
    assert answer == [b'+CIPDOMAIN:"127.0.0.5"', b'OK']
    host.command('AT')


def cut_answers(question):
    """One message, cut and spoilt at every place."""
    whole = question.answer([(question.name, CNAME, encode('b.test')), ('b.test', A, socket.inet_aton('127.0.0.1'))])
    for at in range(12, len(whole)):
        yield whole[:at]
        yield whole[:at] + bytes([whole[at] ^ 0xff]) + whole[at + 1:]


def test_spoilt_answers(ask_python):
    """Each is answered, whatever it says, and soon when it can be read at all; the modem lives."""
    turn = [0]

    def answer(question):
        if question.name != 'a.test':
            return [question.address()]
        broken = list(cut_answers(question))
        return [broken[turn[0] % len(broken)], question.address('127.0.0.5')]

    host = ask_python(answer)
    for turn[0] in range(100):
        host.ask('AT+CIPDOMAIN="a.test"')
    assert host.command('AT+CIPDOMAIN="c.test"') == [b'+CIPDOMAIN:"127.0.0.1"']


@pytest.mark.parametrize('way', ['udp', 'tcp'])
def test_200_records(serve, serve_udp, open_modem, way):
    """As one datagram, which is larger than it should be, or by TCP after a truncated one."""
    def whole(question):
        return question.answer([(question.name, A, bytes([127, 0, 1, n])) for n in range(200)] if question.type == A else [])

    def talk(connection):
        while True:
            head = connection.recv(2, socket.MSG_WAITALL)
            if len(head) < 2:
                return
            message = whole(Question(connection.recv(struct.unpack('>H', head)[0], socket.MSG_WAITALL)))
            connection.sendall(struct.pack('>H', len(message)) + message)

    def answer(message, address):
        question = Question(message)
        return [whole(question) if way == 'udp' else question.answer(flags=TRUNCATED)]

    tcp = serve(talk)
    server = serve_udp(answer, port=tcp.port)
    host = open_modem('--dns-port', server.port)
    host.command('AT+CIPDNS=1,"127.0.0.1"')
    assert host.command('AT+CIPDOMAIN="espat.test"') == [b'+CIPDOMAIN:"127.0.1.0"']
    assert tcp.connections or way == 'udp'


@pytest.mark.parametrize('records', [
    [('a.test', CNAME, encode('b.test')), ('b.test', CNAME, encode('a.test'))],
    [('a.test', CNAME, encode('a.test'))],
    [('a.test', CNAME, encode('b.test'))],
    [('a.test', A, b'\x7f\0\0')],
    [('a.test', AAAA, b'\x7f\0\0\1')],
    [('a.test', A, b'')],
], ids=['loop', 'itself', 'to nowhere', 'three bytes', 'four of sixteen', 'nothing'])
def test_answers_that_lead_nowhere(ask_python, records):
    """ERROR, long before the limit; the next name is found."""
    host = ask_python(lambda question: [question.answer(records) if question.name == 'a.test' else question.address()])
    begun = time.monotonic()
    host.refused('AT+CIPDOMAIN="a.test"', timeout=LIMIT_S + 2)
    assert time.monotonic() - begun < 5
    assert host.command('AT+CIPDOMAIN="c.test"') == [b'+CIPDOMAIN:"127.0.0.1"']


def test_compression_that_loops(ask_python):
    """A name that points to itself."""
    def answer(question):
        if question.name != 'a.test':
            return [question.address()]
        message = question.answer()
        at = len(message)
        return [message[:6] + b'\0\1' + message[8:] + bytes([0xc0 | at >> 8, at & 255]) + struct.pack('>HHIH', A, 1, 60, 4) +
                b'\x7f\0\0\1']

    host = ask_python(answer)
    begun = time.monotonic()
    host.refused('AT+CIPDOMAIN="a.test"', timeout=LIMIT_S + 2)
    assert time.monotonic() - begun < LIMIT_S + 1
    assert host.command('AT+CIPDOMAIN="c.test"') == [b'+CIPDOMAIN:"127.0.0.1"']


def test_restart_while_a_name_is_looked_up(ask_python):
    """What comes too late is for nobody."""
    late = []

    def answer(question):
        if question.name == 'late.test':
            late.append(question)
            return []
        return [*[question.address('127.6.6.6') for question in late], question.address()]

    host = ask_python(answer)
    for _ in range(3):
        before = len(late)
        host.write(b'AT+CIPDOMAIN="late.test"\r\n')
        host.daemon.wait_until(lambda: len(late) > before, 'it is asked')
        host.write(b'AT+RST\r\n')
        host.wait_for(b'ready')
        host.prepare()
        host.command('AT+CIPDNS=1,"127.0.0.1"')
        assert host.command('AT+CIPDOMAIN="soon.test"') == [b'+CIPDOMAIN:"127.0.0.1"']

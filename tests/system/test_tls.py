# SPDX-License-Identifier: MIT
"""SSL links to servers written with python's ssl module."""

import contextlib
import hashlib
import os
import select
import socket
import ssl
import threading
import time

import pytest

import modem
import servers
from authority import Tls

MIB = 1 << 20
SEED = 20210405


@pytest.fixture
def tls(start_tls):
    return start_tls()


# ---- who is verified

@pytest.mark.parametrize('version', [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize('auth', [0, 1, 2, 3])
def test_each_auth_mode(tls, pki, serve, auth, version):
    served = Tls(pki.server(version=version, client_ca='root' if auth & 1 else None), servers.echo)
    server = serve(served)
    tls.command(f'AT+CIPSSLCCONF={auth},0,0')
    assert modem.start_ssl(tls, server) == modem.OPEN
    modem.echoes(tls)
    assert b'+CIPSTATUS:0,"SSL","127.0.0.1",' in b''.join(tls.command('AT+CIPSTATUS'))
    assert served.seen[0].version() == ('TLSv1.2' if version == ssl.TLSVersion.TLSv1_2 else 'TLSv1.3')
    assert bool(served.seen[0].getpeercert()) == bool(auth & 1)
    tls.command('AT+CIPCLOSE')
    tls.daemon.wait_until(lambda: served.clean == 1, 'the server sees close_notify')
    modem.traces(tls, 'server CN = server: ' + ('verified' if auth & 2 else 'NOT VERIFIED'))


@pytest.mark.parametrize('settings, certificate, reason', [
    (['AT+CIPSSLCCONF=2,0,1'], 'server', 'unable to get local issuer certificate'),
    (['AT+CIPSSLCCONF=2,0,0'], 'expired', 'certificate has expired'),
    (['AT+CIPSSLCCONF=2,0,0'], 'self', 'self-signed certificate'),
    (['AT+CIPSSLCCONF=3,0,1'], 'server', 'unable to get local issuer certificate'),
    (['AT+CIPSSLCCONF=2,0,0', 'AT+CIPSSLCCN="b.example"'], 'server', 'not for "b.example"'),
    (['AT+CIPSSLCCONF=2,0,0', 'AT+CIPSSLCCN="server"'], 'server', 'not for "server"'),
    (['AT+CIPSSLCCONF=2,0,0', 'AT+CIPSSLCCN="a.b.example.org"'], 'wild', 'not for "a.b.example.org"'),
    (['AT+CIPSSLCCONF=2,0,0', 'AT+CIPSSLCCN="127.0.0.2"'], 'server', 'not for "127.0.0.2"'),
    (['AT+CIPSSLCCN="b.example"'], 'other', 'not for "b.example"'),
])
def test_a_server_is_refused(tls, pki, serve, settings, certificate, reason):
    served = Tls(pki.server(certificate), servers.echo)
    for line in settings:
        tls.command(line)
    assert modem.start_ssl(tls, serve(served)) == modem.REFUSED
    modem.traces(tls, reason)
    tls.daemon.wait_until(lambda: served.errors, 'the server is told')
    assert 'alert' in str(served.errors[0])
    tls.refused('AT+CIPSEND=1')


@pytest.mark.parametrize('certificate, name', [
    ('server', 'localhost'), ('server', '127.0.0.1'), ('other', 'other.example'), ('wild', 'a.example.org'),
])
def test_the_name(tls, pki, serve, certificate, name):
    tls.command('AT+CIPSSLCCONF=2,0,0')
    tls.command(f'AT+CIPSSLCCN="{name}"')
    assert modem.start_ssl(tls, serve(Tls(pki.server(certificate), servers.echo))) == modem.OPEN
    modem.echoes(tls)


@pytest.mark.parametrize('settings', ['0', '1,1,0'])
def test_a_client_is_refused(tls, pki, serve, settings):
    """In TLS 1.3 the client's certificate is looked at when the client has ended its handshake."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        server = serve(Tls(pki.server(version=version, client_ca='root'), servers.echo))
        tls.command(f'AT+CIPSSLCCONF={settings}')
        answer = tls.ask(f'AT+CIPSTART="SSL","localhost",{server.port}')
        assert answer == ([b'ERROR'] if version == ssl.TLSVersion.TLSv1_2 else modem.OPEN)
        tls.wait_for(b'CLOSED')
    modem.traces(tls, "the peer's alert")


@pytest.mark.parametrize('settings, words', [
    ('1,5,0', b'NO CERT FOUND'), ('3,5,5', b'NO CERT FOUND'), ('2,0,5', b'NO CA FOUND'), ('3,0,5', b'NO CA FOUND'),
    ('1,6,0', b'NO PRVT_KEY FOUND'), ('1,7,0', b'NO PRVT_KEY FOUND'), ('1,8,0', b'NO PRVT_KEY FOUND'),
    ('2,0,9', b'NO CA FOUND'),
])
def test_what_is_missing(tls, pki, serve, tls_state, settings, words):
    pki.install(tls_state, client_cert_6='client', client_cert_7='client', client_key_7='server', client_cert_8='client',
                client_key_8='client')
    os.chmod(tls_state / 'certificates/client_key.8.pem', 0o640)
    (tls_state / 'certificates/client_ca.9.pem').write_text('no certificate\n')
    server = serve(Tls(pki.server(), servers.echo))
    tls.command(f'AT+CIPSSLCCONF={settings}')
    assert tls.ask(f'AT+CIPSTART="SSL","localhost",{server.port}') == [words, b'ERROR']
    assert tls.quiet(0.1) == b''
    assert not server.connections
    if settings == '1,8,0':
        modem.traces(tls, 'client_key.8.pem: a private key that others can read (mode 640)')


def test_a_certificate_that_comes_later(tls, pki, serve, tls_state):
    server = serve(Tls(pki.server(), servers.echo))
    tls.command('AT+CIPSSLCCONF=2,0,4')
    assert tls.ask(f'AT+CIPSTART="SSL","localhost",{server.port}') == [b'NO CA FOUND', b'ERROR']
    pki.install(tls_state, client_ca_4='root')
    assert modem.start_ssl(tls, server) == modem.OPEN
    tls.command('AT+CIPCLOSE')
    pki.install(tls_state, client_ca_4='stranger')
    assert modem.start_ssl(tls, server) == modem.REFUSED


def test_no_state_no_certificates(start_pty, pki, serve):
    server = serve(Tls(pki.server(), servers.echo))
    with modem.open_port(start_pty().link) as port:
        port.prepare()
        assert modem.start_ssl(port, server) == modem.OPEN
        port.command('AT+CIPCLOSE')
        port.command('AT+CIPSSLCCONF=2,0,0')
        assert port.ask(f'AT+CIPSTART="SSL","localhost",{server.port}') == [b'NO CA FOUND', b'ERROR']


def test_the_verify_policy(start_tls, pki, serve):
    """Whatever the AT settings say; the system's authorities do not know ours."""
    port = start_tls('--tls-policy', 'verify')
    good, other = (serve(Tls(pki.server(name), servers.echo)) for name in ('server', 'other'))
    assert modem.start_ssl(port, good) == modem.REFUSED
    port.command('AT+CIPSSLCCONF=2,0,0')
    assert modem.start_ssl(port, good) == modem.OPEN
    port.command('AT+CIPCLOSE')
    assert modem.start_ssl(port, other) == modem.REFUSED
    modem.traces(port, 'not for "localhost"')
    port.command('AT+CIPSSLCCN="other.example"')
    assert modem.start_ssl(port, other) == modem.OPEN
    assert b'NOT VERIFIED' not in port.daemon.err


def test_the_systems_authorities(start_tls, pki, serve):
    port = start_tls('--tls-policy=verify', env={'SSL_CERT_FILE': str(pki.cert('root'))})
    assert modem.start_ssl(port, serve(Tls(pki.server(), servers.echo))) == modem.OPEN
    modem.echoes(port)


# ---- what the client says

def test_sni(tls, pki, serve):
    context, names = pki.server(), []
    context.sni_callback = lambda _, name, __: names.append(name)
    server = serve(Tls(context, servers.echo))
    for line, host in (('', 'localhost'), ('AT+CIPSSLCSNI="a.example"', 'localhost'), ('', '127.0.0.1'),
                       ('AT+CIPSSLCSNI=""', '127.0.0.1')):
        if line:
            tls.command(line)
        assert modem.start_ssl(tls, server, host) == modem.OPEN
        tls.command('AT+CIPCLOSE')
    assert names == ['localhost', 'a.example', 'a.example', None]


def test_alpn(tls, pki, serve):
    served = Tls(pki.server(alpn=['http/1.1', 'mqtt']), servers.echo)
    server = serve(served)
    tls.command('AT+CIPSSLCALPN=3,"h2","mqtt","http/1.1"')
    assert modem.start_ssl(tls, server) == modem.OPEN
    modem.echoes(tls)
    assert served.seen[0].selected_alpn_protocol() == 'http/1.1'
    modem.traces(tls, 'ALPN http/1.1')
    tls.command('AT+CIPCLOSE')
    tls.command('AT+CIPSSLCALPN=0')
    assert modem.start_ssl(tls, server) == modem.OPEN
    modem.echoes(tls)
    assert served.seen[1].selected_alpn_protocol() is None


# ---- data

def test_64_mib_each_way(start_tls, pki, serve, figure):
    """At once; the release build shows what it can do, when there is one."""
    release = os.environ.get('ESPAT_RELEASE', '')
    more = {'program': release} if os.access(release, os.X_OK) else {}
    size = 64 * MIB if more else 8 * MIB
    sink = servers.Sink()

    def talk(connection):
        """Both ways in one thread: python's TLS takes no second one."""
        connection.settimeout(0)
        pieces, left = servers.stream(SEED, size), b''
        sent = 0
        while sink.count < size or sent < size:
            with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                left = left or next(pieces, b'')
                while left:
                    n = connection.send(left)
                    left, sent = left[n:], sent + n
                    left = left or next(pieces, b'')
            with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                while sink.count < size:
                    piece = connection.recv(65536)
                    sink.digest.update(piece)
                    sink.count += len(piece)
            writers = [connection] if sent < size else []
            select.select([connection], writers, [], 1)
        connection.settimeout(30)

    port = start_tls(trace=False, **more)
    digest = hashlib.sha256()
    port.sinks[0] = digest.update
    port.connect('localhost', serve(Tls(pki.server(), talk)).port, kind='SSL')
    begun = time.monotonic()
    for piece in servers.stream(SEED + 1, size):
        port.send_all(piece)
    port.receive(0, size, timeout=50)
    seconds = time.monotonic() - begun
    port.wait_for(b'CLOSED')
    assert digest.hexdigest() == servers.sha256_of(servers.stream(SEED, size))
    assert sink.digest.hexdigest() == servers.sha256_of(servers.stream(SEED + 1, size))
    figure(f'{size // MIB} MiB each way at once over TLS: {2 * size / seconds / 1e6:.1f} MB/s')


def test_five_links_at_once(start_tls, pki, serve):
    size = 2 * MIB
    port = start_tls(trace=False, mux=True)
    sinks, digests = [], []
    for link in range(5):
        sink = servers.Sink()

        def talk(connection, seed=SEED + link):
            for piece in servers.stream(seed, size):
                connection.sendall(piece)

        sinks.append(sink)
        digests.append(hashlib.sha256())
        port.sinks[link] = digests[link].update
        port.connect('localhost', serve(Tls(pki.server(), talk)).port, link, kind='SSL')
    for link in range(5):
        port.receive(link, size, timeout=40)
        assert digests[link].hexdigest() == servers.sha256_of(servers.stream(SEED + link, size)), f'link {link}'
    assert sorted(port.record() for _ in range(5)) == [b'%d,CLOSED' % link for link in range(5)]


def test_passive(tls, pki, serve):
    """All that came can be read, though the server is silent: nothing stays inside TLS."""
    data = b''.join(servers.stream(SEED, 40000))
    go_on = threading.Event()

    def talk(connection):
        connection.sendall(data)
        go_on.wait(30)

    tls.command('AT+CIPRECVMODE=1')
    assert modem.start_ssl(tls, serve(Tls(pki.server(), talk))) == modem.OPEN
    got = bytearray()
    while len(got) < len(data):
        length = int(tls.command('AT+CIPRECVLEN?')[-1].split(b':')[1].split(b',')[0])
        if length == 0:
            time.sleep(0.01)
            continue
        tls.write(b'AT+CIPRECVDATA=%d\r\n' % length)
        head = tls.take_until(b'+CIPRECVDATA:') + tls.take_until(b',')
        count = int(head.split(b'+CIPRECVDATA:')[1][:-1])
        assert count == length # no less than was announced
        got += tls.take(count)
        tls.take_until(b'OK\r\n')
    assert got == data
    go_on.set()
    tls.take_until(b'CLOSED\r\n')


@pytest.mark.parametrize('end', ['close_notify', 'cut', 'reset'])
def test_what_came_before_the_end(tls, pki, serve, end):
    """Passive mode: the window is full when the server goes; the rest is still there to be read."""
    data = b''.join(servers.stream(SEED, 10000))
    taken = threading.Event()

    def talk(connection):
        connection.sendall(data)
        if end == 'close_notify':
            return
        connection.detach_fd = connection.detach()
        raw = socket.socket(fileno=connection.detach_fd)
        if end == 'reset':
            taken.wait(10) # a reset overtakes what was not read
            servers.reset(raw)
        raw.close()

    assert modem.start_ssl(tls, serve(Tls(pki.server(), talk))) == modem.OPEN
    digest = hashlib.sha256()
    tls.sinks[0] = digest.update
    tls.receive(0, len(data))
    taken.set()
    tls.wait_for(b'CLOSED')
    assert digest.digest() == hashlib.sha256(data).digest()
    if end == 'close_notify':
        assert b'cut without close_notify' not in tls.daemon.err
    else:
        modem.traces(tls, 'cut without close_notify')


def test_what_was_accepted_still_leaves(tls, pki, serve):
    """The server reads late; the link is closed by a restart: it gets all of it, and close_notify."""
    read_on, got = threading.Event(), []

    def talk(connection):
        read_on.wait(40)
        while piece := connection.recv(65536):
            got.append(piece)

    served = Tls(pki.server(), talk)
    assert modem.start_ssl(tls, serve(served, receive_buffer=4096)) == modem.OPEN
    block, accepted = bytes(range(256)) * 8, 0
    while accepted < 4000:
        tls.begin_send(len(block))
        tls.write(block)
        try:
            tls.wait_for(b'SEND OK', timeout=1)
        except modem.Late:
            break
        accepted += 1
    tls.write(b'AT+RST\r\n')
    tls.wait_for(b'ready')
    read_on.set()
    tls.daemon.wait_until(lambda: served.clean, 'the server sees close_notify')
    assert b''.join(got) == block * (accepted + 1)


def test_passthrough_comes_back(tls, pki, serve):
    """The server ends the first connection; the second one is verified like the first."""
    lives = []

    def talk(connection):
        lives.append(connection)
        while True:
            piece = connection.recv(65536)
            if not piece or piece == b'end':
                return
            connection.sendall(piece)

    def is_open(life):
        """Only then are bytes taken: it says so when its side of the handshake is done."""
        tls.daemon.wait_until(lambda: tls.daemon.err.count(b'CN = server: verified') == life, f'life {life}')

    served = Tls(pki.server(), talk)
    tls.command('AT+CIPSSLCCONF=3,0,0')
    tls.command('AT+CIPRECONNINTV=1')
    assert modem.start_ssl(tls, serve(served)) == modem.OPEN
    tls.command('AT+SYSMSG=1')
    tls.command('AT+CIPMODE=1')
    tls.write(b'AT+CIPSEND\r\n')
    tls.take_until(b'>')
    for life in (1, 2):
        is_open(life)
        tls.quiet(0.05)
        block = b''.join(servers.stream(SEED + life, 20000))
        tls.write(block)
        assert tls.take(len(block)) == block
        tls.write(b'end')
    is_open(3)
    tls.leave_passthrough()
    tls.command('AT')
    assert len(lives) == 3
    assert tls.daemon.err.count(b'CN = server: verified') == 3


def test_passthrough_from_the_start(start_tls, pki, serve):
    """AT+SAVETRANSLINK with "SSL", and the certificates that AT+CIPSSLCCONF stored."""
    served = Tls(pki.server(client_ca='root'), servers.echo)
    server = serve(served)
    port = start_tls()
    port.command('AT+CIPSSLCCONF=3,0,0')
    port.command(f'AT+SAVETRANSLINK=1,"localhost",{server.port},"SSL"')
    port.write(b'AT+RST\r\n')
    port.wait_for(b'ready')
    port.daemon.wait_until(lambda: served.seen, 'it connects')
    port.daemon.wait_until(lambda: b'open from' in port.daemon.err, 'it is open')
    port.write(b'question')
    assert port.take(8) == b'question'
    modem.traces(port, 'CN = server: verified')


def test_the_chips_limit(start_tls, pki, serve):
    """The ESP8266 has memory for one SSL link."""
    server = serve(Tls(pki.server(), servers.echo))
    port = start_tls('--chip', 'esp8266', mux=True)
    port.connect('localhost', server.port, 0, kind='SSL')
    port.refused(f'AT+CIPSTART=1,"SSL","localhost",{server.port}')
    port.command('AT+CIPCLOSE=0')
    port.connect('localhost', server.port, 1, kind='SSL')


def test_a_policy_that_is_none(start):
    daemon = start('--stdio', '--tls-policy', 'maybe')
    assert daemon.wait() == 2
    assert daemon.err == b"espat: --tls-policy is firmware or verify: 'maybe'\n"

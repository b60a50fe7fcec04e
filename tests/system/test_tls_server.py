# SPDX-License-Identifier: MIT
"""AT+CIPSERVER with "SSL", and clients of every kind."""

import contextlib
import socket
import ssl
import subprocess
import time

import pytest

import modem
import servers

ANSWER = b'HTTP/1.0 200 OK\r\n\r\nhello\n' # whose end is the connection's


@pytest.fixture
def host(start_tls):
    return start_tls('--listen-address', '127.0.0.1', mux=True)


def listen(host, verify=0):
    port = servers.closed_port()
    host.command(f'AT+CIPSERVER=1,{port},"SSL",{verify}')
    return port


def connect(port, context):
    raw = socket.create_connection(('127.0.0.1', port), timeout=20)
    try:
        return context.wrap_socket(raw, server_hostname='localhost', suppress_ragged_eofs=False)
    except (ssl.SSLError, OSError):
        raw.close()
        raise


@pytest.mark.parametrize('version', [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize('verify', [0, 1])
def test_a_client(host, pki, version, verify):
    port = listen(host, verify)
    context = pki.client('client' if verify else None)
    context.minimum_version = context.maximum_version = version
    with connect(port, context) as client:
        host.wait_for(b'0,CONNECT')
        assert b'+CIPSTATUS:0,"SSL","127.0.0.1",' in b''.join(host.command('AT+CIPSTATUS'))
        got = []
        host.sinks[0] = lambda piece: got.append(bytes(piece))
        client.sendall(b'question')
        host.receive(0, 8)
        assert b''.join(got) == b'question'
        host.send(b'answer', 0)
        assert client.recv(100) == b'answer'
        host.command('AT+CIPCLOSE=0')
        assert client.recv(100) == b'' # with close_notify: else it would raise
    modem.traces(host, 'client CN = client: verified' if verify else 'client NOT VERIFIED')


def test_a_client_ends_it(host, pki):
    port = listen(host)
    client = connect(port, pki.client())
    host.wait_for(b'0,CONNECT')
    client.sendall(b'last words')
    raw = client.unwrap() # waits for the modem's close_notify
    host.receive(0, 10)
    host.wait_for(b'0,CLOSED')
    raw.close()
    client = connect(port, pki.client())
    host.wait_for(b'0,CONNECT')
    client.sendall(b'last words')
    client.close() # without a word
    host.receive(0, 20)
    host.wait_for(b'0,CLOSED')
    modem.traces(host, 'cut without close_notify')


@pytest.mark.parametrize('name, reason', [(None, 'peer did not return a certificate'),
                                          ('strange-client', 'unable to get local issuer certificate')])
def test_a_client_without_a_certificate(host, pki, name, reason):
    port = listen(host, 1)
    with contextlib.suppress(ssl.SSLError, OSError), connect(port, pki.client(name)) as client:
        client.recv(100) # in TLS 1.3 it learns it here
        pytest.fail('the client was not refused')
    modem.traces(host, reason)
    assert host.quiet(0.1) == b''
    with connect(port, pki.client('client')):
        host.wait_for(b'0,CONNECT')


def test_what_is_missing(start_pty, pki, folder):
    daemon = start_pty('--state', folder / 'empty', state=True)
    with modem.open_port(daemon.link) as port:
        port.prepare(mux=True)
        line = f'AT+CIPSERVER=1,{servers.closed_port()},"SSL",1'
        assert port.refused(line) == [b'NO CERT FOUND']
        pki.install(folder / 'empty', server_cert_0='server')
        assert port.refused(line) == [b'NO PRVT_KEY FOUND']
        pki.install(folder / 'empty', server_key_0='other')
        assert port.refused(line) == [b'NO PRVT_KEY FOUND']
        pki.install(folder / 'empty', server_key_0='server')
        assert port.refused(line) == [b'NO CA FOUND']
        assert port.command('AT+CIPSERVER?') == [b'+CIPSERVER:0']
        pki.install(folder / 'empty', server_ca_0='root')
        port.command(line)


def test_five_clients_at_once(host, pki):
    port = listen(host)
    digests = {link: [] for link in range(5)}
    for link in range(5):
        host.sinks[link] = lambda piece, link=link: digests[link].append(bytes(piece))
    with contextlib.ExitStack() as open_ones:
        clients = []
        for link in range(5):
            clients.append(open_ones.enter_context(connect(port, pki.client())))
            host.wait_for(b'%d,CONNECT' % link)
        for number, client in enumerate(clients):
            client.sendall(b''.join(servers.stream(number, 3000)))
        for link in range(5):
            host.receive(link, 3000)
            assert b''.join(digests[link]) == b''.join(servers.stream(link, 3000))
            host.send(b'to %d' % link, link)
        for number, client in enumerate(clients):
            assert client.recv(100) == b'to %d' % number


def test_clients_that_say_nothing(host, pki, figure):
    """Eight may try at once, each for 10 s; then it is the next one's turn."""
    port = listen(host)
    before = host.daemon.descriptors()
    with contextlib.ExitStack() as silent:
        for _ in range(8):
            silent.enter_context(socket.create_connection(('127.0.0.1', port)))
        host.daemon.wait_until(lambda: host.daemon.descriptors() == before + 8, 'all eight try')
        begun = time.monotonic()
        with connect(port, pki.client()):
            host.wait_for(b'0,CONNECT', timeout=12)
        seconds = time.monotonic() - begun
        figure(f'a client behind eight that say nothing waited for {seconds:.1f} s')
        assert 8 < seconds < 12
    modem.traces(host, 'the TLS handshake took too long')


def test_garbage(host, pki):
    port = listen(host)
    for words, reason in ((b'GET / HTTP/1.0\r\n\r\n', 'http request'), (b'\x16\x03\x03\xff\xff' + bytes(100), 'length'),
                          (bytes(1000), 'version'), (b'', 'the client closed the connection')):
        with socket.create_connection(('127.0.0.1', port)) as client:
            client.sendall(words)
            if not words:
                client.shutdown(socket.SHUT_WR)
            client.settimeout(5)
            with contextlib.suppress(ConnectionResetError):
                while client.recv(100):
                    pass
        modem.traces(host, reason)
    with connect(port, pki.client()):
        host.wait_for(b'0,CONNECT')


def test_no_server_any_more(host, pki):
    """Who was not accepted yet is turned away with the server."""
    port = listen(host)
    before = host.daemon.descriptors()
    with socket.create_connection(('127.0.0.1', port)) as client:
        host.daemon.wait_until(lambda: host.daemon.descriptors() == before + 1, 'the client tries')
        host.command('AT+CIPSERVER=0')
        client.settimeout(5)
        assert client.recv(100) == b''


def test_another_certificate(host, pki, tls_state):
    port = listen(host)
    with connect(port, pki.client()) as client:
        host.wait_for(b'0,CONNECT')
        before = client.getpeercert(True)
    host.wait_for(b'0,CLOSED')
    pki.install(tls_state, server_cert_0='self', server_key_0='self')
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(port, pki.client())
    with connect(port, pki.client(ca='self')) as client:
        host.wait_for(b'0,CONNECT')
        assert client.getpeercert(True) != before


def answer_http(host, link=0):
    """What a host program does that serves a page."""
    host.wait_for(b'%d,CONNECT' % link)
    got = bytearray()
    host.sinks[link] = got.extend
    while b'\r\n\r\n' not in got:
        host.receive(link, len(got) + 1)
    host.send(ANSWER, link)
    host.command(f'AT+CIPCLOSE={link}')
    return bytes(got)


@pytest.mark.parametrize('verify', [0, 1])
@pytest.mark.parametrize('tls', ['1.2', '1.3'])
def test_curl(host, pki, verify, tls):
    port = listen(host, verify)
    own = ['--cert', pki.cert('client'), '--key', pki.key('client')] if verify else []
    curl = subprocess.Popen(['curl', '-sS', '--max-time', '20', f'--tlsv{tls}', '--tls-max', tls, '--cacert',
                             pki.cert('root'), *own, f'https://127.0.0.1:{port}/page'],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert answer_http(host).startswith(b'GET /page HTTP/')
    out, err = curl.communicate(timeout=20)
    assert (curl.returncode, out) == (0, b'hello\n'), err


def test_curl_does_not_trust_us(host, pki):
    port = listen(host)
    curl = subprocess.run(['curl', '-sS', '--max-time', '20', '--cacert', pki.cert('stranger'),
                           f'https://127.0.0.1:{port}/'], capture_output=True, timeout=30)
    assert curl.returncode == 60, curl.stderr
    modem.traces(host, "the peer's alert 48: unknown CA")
    assert host.quiet(0.1) == b''


@pytest.mark.parametrize('verify', [0, 1])
def test_s_client(host, pki, verify):
    port = listen(host, verify)
    own = ['-cert', pki.cert('client'), '-key', pki.key('client')] if verify else []
    client = subprocess.Popen(['openssl', 's_client', '-quiet', '-connect', f'127.0.0.1:{port}', '-CAfile',
                               pki.cert('root'), '-verify_return_error', *own],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    host.wait_for(b'0,CONNECT')
    client.stdin.write(b'question\n')
    client.stdin.flush()
    host.receive(0, 9)
    host.send(b'answer\n', 0)
    assert client.stdout.readline() == b'answer\n'
    host.command('AT+CIPCLOSE=0')
    assert client.wait(10) == 0
    for pipe in (client.stdin, client.stdout):
        pipe.close()


def test_both_ends_are_modems(host, start_tls, pki, folder):
    """A modem's SSL link to another modem's SSL server, both verified."""
    port = listen(host, 1)
    state = pki.install(folder / 'other-state', client_ca_0='root', client_cert_0='client', client_key_0='client')
    other = start_tls(link='other', at=state)
    other.command('AT+CIPSSLCCONF=3,0,0')
    other.command('AT+CIPSSLCCN="localhost"')
    other.connect('127.0.0.1', port, kind='SSL')
    host.wait_for(b'0,CONNECT')
    data = b''.join(servers.stream(7, 100000))
    got = bytearray()
    host.sinks[0] = got.extend
    other.send_all(data)
    host.receive(0, len(data))
    assert got == data
    host.command('AT+CIPCLOSE=0')
    other.wait_for(b'CLOSED')

# SPDX-License-Identifier: MIT
"""SSL links to servers that others wrote: openssl s_server and nginx."""

import hashlib
import os
import shutil
import subprocess
import time

import pytest

import modem
import servers

PSK, IDENTITY = 'secret key', 'device 1'
NGINX = shutil.which('nginx', path=os.environ['PATH'] + ':/usr/sbin')


class Program:
    """A server program on a port of its own, started when it answers there."""

    def __init__(self, args, port):
        self.port = port
        self.process = subprocess.Popen([str(a) for a in args], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE)
        end = time.monotonic() + 10
        while not self._listens():
            if self.process.poll() is not None or time.monotonic() > end:
                self.close()
                pytest.fail(f'{args[0]} does not listen: {self.process.stderr.read().decode()}')
            time.sleep(0.02)

    def _listens(self):
        """Without a connection, which s_server would count as one."""
        with open('/proc/net/tcp', encoding='ascii') as table:
            return any(line.split()[1].endswith(f':{self.port:04X}') and line.split()[3] == '0A'
                       for line in list(table)[1:])

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)
        self.process.stdin.close()


@pytest.fixture
def run():
    running = []

    def begin(args, port):
        running.append(Program(args, port))
        return running[-1]

    yield begin
    for program in running:
        program.close()
        program.process.stderr.close()


@pytest.fixture
def s_server(run):
    """s_server(args...): it answers each line with its reverse."""
    def begin(*args):
        port = servers.closed_port()
        return run(['openssl', 's_server', '-accept', f'127.0.0.1:{port}', '-rev', *args], port)
    return begin


@pytest.fixture
def tls(start_tls):
    return start_tls()


def reverses(port):
    got = bytearray()
    port.sinks[0] = got.extend
    before = port.received.get(0, 0)
    port.send(b'question\n')
    port.receive(0, before + 9)
    assert got == b'noitseuq\n'


@pytest.mark.parametrize('version', ['-tls1_2', '-tls1_3'])
@pytest.mark.parametrize('auth', [0, 1, 2, 3])
def test_s_server(tls, pki, s_server, auth, version):
    mutual = ['-Verify', '3', '-verify_return_error', '-CAfile', pki.cert('root')] if auth & 1 else []
    server = s_server('-cert', pki.cert('server'), '-key', pki.key('server'), version, *mutual)
    tls.command(f'AT+CIPSSLCCONF={auth},0,0')
    tls.command('AT+CIPSSLCCN="localhost"')
    assert modem.start_ssl(tls, server) == modem.OPEN
    reverses(tls)
    tls.command('AT+CIPCLOSE')


def test_the_test_certificates(start_tls, s_server, root, folder):
    """What tools/make-test-certificates makes: both sides verify each other."""
    state = folder / 'new'
    subprocess.run([root / 'tools/make-test-certificates', state, 'a.example'], check=True, capture_output=True)
    assert subprocess.run([root / 'tools/make-test-certificates', state], capture_output=True).returncode == 1
    made = state / 'certificates/test'
    server = s_server('-cert', made / 'server.pem', '-key', made / 'server.key', '-Verify', '1',
                      '-verify_return_error', '-CAfile', made / 'ca.pem')
    port = start_tls(at=state)
    port.command('AT+CIPSSLCCONF=3,0,0')
    port.command('AT+CIPSSLCCN="a.example"')
    assert modem.start_ssl(port, server) == modem.OPEN
    reverses(port)


@pytest.mark.parametrize('version', ['-tls1_2', '-tls1_3'])
def test_psk(tls, s_server, version):
    """A server without a certificate: the key alone. A wrong key and a wrong identity are refused."""
    server = s_server('-nocert', '-psk', PSK.encode().hex(), '-psk_identity', IDENTITY, version)
    tls.command(f'AT+CIPSSLCPSK="{PSK}","{IDENTITY}"')
    assert modem.start_ssl(tls, server) == modem.OPEN
    reverses(tls)
    tls.command('AT+CIPCLOSE')
    modem.traces(tls, 'server verified by the pre-shared key')
    tls.command(f'AT+CIPSSLCPSK="another key","{IDENTITY}"')
    assert modem.start_ssl(tls, server) == modem.REFUSED
    tls.command(f'AT+CIPSSLCPSK="{PSK}",""')
    assert modem.start_ssl(tls, server) == modem.REFUSED
    tls.command('AT+CIPSSLCPSK="",""')
    assert modem.start_ssl(tls, server) == modem.REFUSED
    modem.traces(tls, "the peer's alert 40: handshake failure")


@pytest.mark.parametrize('version', ['-tls1_2', '-tls1_3'])
def test_psk_and_certificates(tls, pki, s_server, version):
    """A server that knows the key takes it; one that does not shows its certificate, which counts as auth says."""
    both = ['-cert', pki.cert('other'), '-key', pki.key('other')]
    keyed = s_server(*both, '-psk', PSK.encode().hex(), '-psk_identity', IDENTITY, version)
    plain = s_server(*both, version)
    tls.command(f'AT+CIPSSLCPSK="{PSK}","{IDENTITY}"')
    for auth, plain_answer in (('0', modem.OPEN), ('2,0,0', modem.OPEN), ('2,0,1', modem.REFUSED)):
        tls.command(f'AT+CIPSSLCCONF={auth}')
        assert modem.start_ssl(tls, plain) == plain_answer, auth
        if plain_answer == modem.OPEN:
            reverses(tls)
            tls.command('AT+CIPCLOSE')
        assert modem.start_ssl(tls, keyed) == modem.OPEN, auth
        reverses(tls)
        tls.command('AT+CIPCLOSE')
    assert tls.daemon.err.count(b'server verified by the pre-shared key') == 3
    tls.command('AT+CIPSSLCCONF=2,0,9')
    assert tls.ask(f'AT+CIPSTART="SSL","localhost",{plain.port}') == [b'NO CA FOUND', b'ERROR']


@pytest.mark.parametrize('chip, answer', [('esp32', b'ERROR'), ('esp32s2', b'OK'), ('esp8266', b'OK')])
def test_a_chip_without_psk(start_tls, chip, answer):
    assert start_tls('--chip', chip).ask(f'AT+CIPSSLCPSK="{PSK}","{IDENTITY}"') == [answer]


NGINX_CONF = '''
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log; {user}
events {{}}
http {{
    access_log off; client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5; client_max_body_size 100m;
    server {{
        listen 127.0.0.1:{port} ssl; server_name _; ssl_protocols TLSv1.2 TLSv1.3; root {folder};
        ssl_certificate {server}.pem; ssl_certificate_key {server}.key;
        ssl_client_certificate {root}; ssl_verify_client optional;
        location = /who {{ return 200 "$ssl_protocol $ssl_server_name $ssl_client_verify $ssl_client_s_dn\\n"; }}
    }}
    server {{
        listen 127.0.0.1:{port} ssl; server_name a.example;
        ssl_certificate {other}.pem; ssl_certificate_key {other}.key;
        location = /who {{ return 200 "the other one\\n"; }}
    }}
}}
'''


@pytest.fixture
def nginx(run, pki, folder):
    if not NGINX:
        pytest.skip('there is no nginx')
    port = servers.closed_port()
    (folder / 'nginx.conf').write_text(NGINX_CONF.format(
        folder=folder, port=port, server=pki.folder / 'server', other=pki.folder / 'other', root=pki.cert('root'),
        user='user root;' if os.geteuid() == 0 else ''))
    return run([NGINX, '-p', folder, '-e', folder / 'error.log', '-c', folder / 'nginx.conf'], port)


def get(port, path, host='localhost'):
    """The body of what a HTTP/1.0 server answers, which ends with the connection."""
    answer = bytearray()
    port.sinks[0] = answer.extend
    port.send(f'GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n'.encode())
    port.wait_for(b'CLOSED', timeout=40)
    head, body = bytes(answer).split(b'\r\n\r\n', 1)
    assert head.startswith(b'HTTP/1.1 200'), head
    return body


def test_nginx(tls, nginx):
    tls.command('AT+CIPSSLCCONF=2,0,0')
    assert modem.start_ssl(tls, nginx) == modem.OPEN
    assert get(tls, '/who') == b'TLSv1.3 localhost NONE \n'
    tls.command('AT+CIPSSLCCONF=3,0,0')
    assert modem.start_ssl(tls, nginx) == modem.OPEN
    assert get(tls, '/who') == b'TLSv1.3 localhost SUCCESS CN=client\n'
    tls.command('AT+CIPSSLCSNI="a.example"')
    assert modem.start_ssl(tls, nginx) == modem.OPEN
    assert get(tls, '/who', 'a.example') == b'the other one\n'
    tls.command('AT+CIPSSLCCN="localhost"')
    assert modem.start_ssl(tls, nginx) == modem.REFUSED
    modem.traces(tls, 'the certificate of "CN = other.example" is not for "localhost"')


def test_fetch_16_mib_from_nginx(start_tls, nginx, folder):
    data = b''.join(servers.stream(5, 16 << 20))
    (folder / 'data').write_bytes(data)
    port = start_tls(trace=False)
    port.connect('localhost', nginx.port, kind='SSL')
    assert hashlib.sha256(get(port, '/data')).digest() == hashlib.sha256(data).digest()

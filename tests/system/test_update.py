# SPDX-License-Identifier: MIT
"""AT+CIUPDATE against a server of our own: every state, every form, every failure; certificates by HTTP and HTTPS."""

import os
import random
import signal
import socket
import subprocess
import threading
import time

import pytest

import flash_image
import modem
import update_server
from update_server import plain

SEED = 20260722


@pytest.fixture(scope='module')
def pair(pki):
    return flash_image.Pair(pki, 'root')


@pytest.fixture
def key_file(signer):
    return signer.public


@pytest.fixture
def server():
    running = update_server.UpdateServer()
    yield running
    running.close()


@pytest.fixture
def run(start_pty, state, key_file, server):
    """run(args): (daemon, port) of a joined modem that knows the server and the key."""
    ports = []

    def begin(*args, url=True, key=True, **more):
        if url:
            args += ('--ota-url', f'http://127.0.0.1:{server.port}')
        if key:
            args += ('--ota-key', key_file)
        daemon = start_pty('--state', state, *args, state=True, **more)
        port = modem.open_port(daemon.link)
        ports.append(port)
        port.prepare()
        return daemon, port

    yield begin
    for port in ports:
        port.close()


@pytest.fixture
def offer(server, signer):
    """offer(name, image): the server has it, signed."""
    def put(name, image, signature=None):
        server.files[f'{name}.bin'] = image
        server.files[f'{name}.bin.sig'] = signer.sign(image) if signature is None else signature
    return put


def lines(port, command, *wanted, timeout=modem.DEADLINE_S):
    """The lines of a blocking command."""
    port.write(command.encode() + b'\r\n')
    return port.wait_for(*(wanted or (b'OK', b'ERROR')), timeout=timeout)


def states(*numbers):
    return [b'+CIPUPDATE:%d' % number for number in numbers]


def files(state):
    folder = state / 'certificates'
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


# ---- forms and states


def test_the_version_is_asked_for(run, server, offer, pair, state):
    offer('client_ca', flash_image.partition((flash_image.CA, 0, pair.pem())))
    _, port = run()
    assert port.command('AT+CIUPDATE?') == [b'+CIUPDATE:0']
    assert lines(port, 'AT+CIUPDATE=0,,"client_ca"') == states(1, 2, 3, 4) + [b'OK']
    assert port.command('AT+CIUPDATE?') == [b'+CIUPDATE:4']
    assert files(state) == {'client_ca.0.pem': pair.pem()}
    assert server.targets() == [
        '/v1/device/rom/?is_format_simple=true',
        '/v1/device/rom/?action=download_rom&version=v2.2.0.0&filename=client_ca.bin',
        '/v1/device/rom/?action=download_rom&version=v2.2.0.0&filename=client_ca.bin.sig',
    ]
    assert server.connections == 3


def test_the_version_is_given(run, server, offer, pair):
    offer('mqtt_ca', flash_image.image((flash_image.CA, 0, pair.pem())))
    _, port = run()
    assert lines(port, 'AT+CIUPDATE=0,"v1.2.0.0","mqtt_ca",0') == states(1, 4) + [b'OK']
    assert update_server.version_of(server.targets()[0]) == 'v1.2.0.0'


def test_not_blocking(run, server, offer, pair):
    offer('mqtt_ca', flash_image.image((flash_image.CA, 0, pair.pem())))
    _, port = run()
    assert lines(port, 'AT+CIUPDATE=0,,"mqtt_ca",1', b'+CIPUPDATE:4') in (
        [b'OK'] + states(1, 4), states(1) + [b'OK'] + states(4))
    # The firmware's own quirk: no version is asked for.
    assert update_server.version_of(server.targets()[0]) == ''
    assert port.command('AT+CIUPDATE?') == [b'+CIUPDATE:4']
    server.answers['mqtt_ca.bin'] = plain(b'', '500 No')
    assert lines(port, 'AT+CIUPDATE=0,"v1","mqtt_ca",1', b'+CIPUPDATE:-1')[-1] == b'+CIPUPDATE:-1'
    assert port.command('AT+CIUPDATE?') == [b'+CIUPDATE:-1']


def test_the_requests_are_the_firmwares(run, server, offer, pair, folder):
    (folder / 'token').write_text('0123456789abcdef\n')
    offer('client_ca', flash_image.image((flash_image.CA, 0, pair.pem())))
    _, port = run('--ota-token', folder / 'token')
    assert lines(port, 'AT+CIUPDATE=0,,"client_ca"')[-1] == b'OK'
    fields = (f'Host: 127.0.0.1:{server.port}\r\nConnection: keep-alive\r\nCache-Control: no-cache\r\n'
              'User-Agent: Mozilla/5.0 (compatible; espat) \r\nAccept: */*\r\n'
              'Authorization: token 0123456789abcdef\r\nAccept-Encoding: gzip,deflate,sdch\r\n'
              'Accept-Language: zh-CN,zh;q=0.8\r\n\r\n')
    assert server.requests[0].decode() == f'GET {server.targets()[0]} HTTP/1.0\r\n{fields}'
    assert server.requests[1].decode() == f'GET {server.targets()[1]} HTTP/1.1\r\n{fields}'


def test_any_version_that_a_host_types(run, server, offer, pair):
    offer('client_ca', flash_image.image((flash_image.CA, 0, pair.pem())))
    _, port = run()
    assert lines(port, r'AT+CIUPDATE=0,"v 1&filename=x\\y%41?#","client_ca"')[-1] == b'OK'
    assert update_server.version_of(server.targets()[0]) == 'v%201%26filename%3Dx%5Cy%2541%3F%23'
    assert lines(port, 'AT+CIUPDATE=0,"--ca","client_ca"')[-1] == b'OK'
    assert update_server.version_of(server.targets()[2]) == '--ca'


def test_one_at_a_time(run, server, offer, pair):
    go_on = threading.Event()
    image = flash_image.image((flash_image.CA, 0, pair.pem()))
    offer('client_ca', image)
    server.answers['client_ca.bin'] = update_server.slowly(plain(image), 0.2, go_on)
    _, port = run()
    lines(port, 'AT+CIUPDATE=0,"v1","client_ca",1', b'+CIPUPDATE:1')
    server.wait_for_requests(1)
    assert port.ask('AT+CIUPDATE=0,"v1","client_ca"')[-1] == b'ERROR'
    assert port.command('AT+CIUPDATE?') == [b'+CIUPDATE:1']
    del server.answers['client_ca.bin']
    go_on.set()
    server.drop() # the body stays short
    port.wait_for(b'+CIPUPDATE:-1')
    assert lines(port, 'AT+CIUPDATE=0,"v1","client_ca"')[-1] == b'OK'


def test_restart_ends_it(run, server, state):
    server.answers['client_ca.bin'] = update_server.silent
    daemon, port = run()
    lines(port, 'AT+CIUPDATE=0,"v1","client_ca"', b'+CIPUPDATE:1')
    port.write(b'AT+RST\r\n')
    port.wait_for(b'ready')
    port.command('ATE0')
    assert port.command('AT+CIUPDATE?') == [b'+CIUPDATE:0']
    daemon.wait_until(lambda: not children(daemon), 'espat-fetch ends')
    assert files(state) == {}


def children(daemon):
    return subprocess.run(['pgrep', '-P', str(daemon.pid)], capture_output=True, text=True).stdout.split()


def runs(pid):
    try:
        with open(f'/proc/{pid}/stat', encoding='ascii') as file:
            return file.read().rsplit(')', 1)[1].split()[0] != 'Z' # its new parent may be slow to look
    except FileNotFoundError:
        return False


def test_refused_at_once(start_pty, folder, run):
    with modem.open_port(start_pty().link) as port:
        port.prepare()
        assert lines(port, 'AT+CIUPDATE') == [b'ERROR'], 'no --ota-url'
    _, port = run()
    for form in ('=2', '=0,"v1","none"', '=0,"v1","client_ca",2', '=0,,"ota",', '=0,"v1","client_ca",0,0',
                 f'=0,"{"v" * 65}"', f'=0,,"{"o" * 65}"', '=?', '='):
        assert port.ask(f'AT+CIUPDATE{form}') == [b'ERROR'], form
    port.command('AT+CWQAP')
    assert b'ERROR' in port.ask('AT+CIUPDATE=0,"v1","client_ca"')


def test_what_is_needed(run, server, offer, pair, start_pty, folder, key_file):
    image = flash_image.image((flash_image.CA, 0, pair.pem()))
    offer('client_ca', image)
    daemon, port = run('--trace', key=False)
    # Without a key nothing is taken over HTTP, and a system image not at all.
    assert lines(port, 'AT+CIUPDATE=0,"v1","client_ca"') == [b'ERROR']
    daemon.wait_until(lambda: b'over HTTP an image needs a signature' in daemon.err, 'the reason is traced')
    assert lines(port, 'AT+CIUPDATE') == [b'ERROR']
    assert lines(port, 'AT+CIUPDATE=1,"v1","client_ca"') == [b'ERROR'], 'the server is http'
    assert server.connections == 0
    url = f'http://127.0.0.1:{server.port}'
    with modem.open_port(start_pty('--ota-url', url, '--ota-key', key_file, link='other').link) as other:
        other.prepare()
        assert lines(other, 'AT+CIUPDATE=0,"v1","client_ca"') == [b'ERROR'], 'no folder'


# ---- failures: each ends in ERROR, and nothing is changed


def failures(image, server):
    port = server.port
    loop = plain(b'', '302 Found', fields=[f'Location: http://127.0.0.1:{port}/again'])
    gzip = plain(bytes(100), fields=['Content-Encoding: gzip'])
    chunked = plain(b'4\r\nabcd\r\n0\r\n\r\n', length=False, fields=['Transfer-Encoding: chunked'])
    return {
        'no length': plain(image, length=False),
        'short': (lambda c: (c.sendall(plain(image[:-4], length=len(image))), c.close())),
        'long': plain(image + b'\xff' * 4, length=len(image)),
        'cut image': plain(image[:-4]),
        'wrong magic': plain(b'\xf1\xf2' + image[2:]),
        'wrong magic in pieces': (lambda c: (c.sendall(plain(b'', length=len(image))), c.sendall(b'\xf1'),
                                             c.sendall(b'\xf2'))),
        'too large': plain(image.ljust(flash_image.BYTES + 4, b'\xff')),
        'huge': plain(b'', length=10 ** 14),
        'absurd length': plain(b'', length=10 ** 30),
        'negative length': plain(image, length=-1),
        'two lengths': plain(image, fields=['Content-Length: 5']),
        'empty': plain(b''),
        'erased': plain(b'\xff' * flash_image.BYTES),
        'no image at all': plain(b'<html>' * 20),
        'not found': plain(image, '404 Not Found'),
        'server error': plain(image, '500 No'),
        'partial': plain(image, '206 Partial Content'),
        'not modified': plain(b'', '304 Not Modified'),
        'compressed': gzip,
        'chunked': chunked,
        'chunked with a length': plain(image, fields=['Transfer-Encoding: chunked']),
        'loop': loop,
        'elsewhere': plain(b'', '302 Found', fields=['Location: http://127.0.0.2/x']),
        'to another scheme': plain(b'', '302 Found', fields=[f'Location: https://127.0.0.1:{port}/x']),
        'to a file': plain(b'', '302 Found', fields=['Location: file:///etc/passwd']),
        'nowhere': plain(b'', '302 Found'),
        'no HTTP': b'SSH-2.0-OpenSSH\r\n\r\n',
        'HTTP 2': plain(image).replace(b'HTTP/1.1', b'HTTP/2'),
        'bare LF': plain(image).replace(b'\r\n', b'\n') + b'\r\n\r\n',
        'NUL in the header': plain(image, fields=['X: \0']),
        'endless header': update_server.endless_header,
        'closes at once': lambda c: c.close(),
        'closes in the header': lambda c: (c.sendall(b'HTTP/1.1 200 OK\r\nContent-'), c.close()),
    }


def test_every_failure(run, server, offer, pair, state, figure):
    old, new = flash_image.image((flash_image.CA, 0, b'# old\n' + pair.pem())), flash_image.image((flash_image.CA, 0, b'# new\n' + pair.pem()))
    daemon, port = run('--trace')
    offer('client_ca', old)
    assert lines(port, 'AT+CIUPDATE=0,"v1","client_ca"')[-1] == b'OK'
    kept = files(state)
    offer('client_ca', new)
    cases = failures(new, server)
    server.answers['/again'] = cases['loop']
    for name, answer in cases.items():
        server.answers['client_ca.bin'] = answer
        begin = len(daemon.err)
        assert lines(port, 'AT+CIUPDATE=0,"v1","client_ca"') == states(1) + [b'ERROR'], name
        assert files(state) == kept, name
        daemon.wait_until(lambda: b'update: failed: ' in daemon.err[begin:], name)
    del server.answers['client_ca.bin']
    assert lines(port, 'AT+CIUPDATE=0,"v1","client_ca"')[-1] == b'OK'
    assert files(state) != kept
    figure(f'{len(cases)} kinds of a broken answer: all refused, nothing changed')


def test_redirections_are_followed_on_the_same_server(run, server, offer, pair):
    offer('client_ca', flash_image.image((flash_image.CA, 0, pair.pem())))
    server.answers['client_ca.bin'] = plain(b'moved', '302 Found', fields=['Location: /one'])
    server.answers['/one'] = plain(b'', '307 Temporary Redirect',
                                   fields=[f'location:http://127.0.0.1:{server.port}/two'])
    server.answers['/two'] = plain(server.files['client_ca.bin'])
    _, port = run()
    assert lines(port, 'AT+CIUPDATE=0,"v1","client_ca"') == states(1, 4) + [b'OK']


BAD_SIGNATURES = {
    'none': plain(b'', '404 Not Found'), 'short': plain(bytes(63)), 'long': plain(bytes(65)), 'zeros': plain(bytes(64)),
    'no length': plain(bytes(64), length=False), 'huge': plain(b'', length=10 ** 9),
}


def test_signatures(run, server, offer, pair, state, signer, stranger):
    image = flash_image.image((flash_image.CA, 0, pair.pem()))
    offer('client_ca', image)
    _, port = run()
    for name, answer in BAD_SIGNATURES.items():
        server.answers['client_ca.bin.sig'] = answer
        assert lines(port, 'AT+CIUPDATE=0,"v1","client_ca"') == states(1) + [b'ERROR'], name
    for at in (0, 31, 32, 63):
        signature = bytearray(signer.sign(image))
        signature[at] ^= 1
        server.answers['client_ca.bin.sig'] = plain(bytes(signature))
        assert lines(port, 'AT+CIUPDATE=0,"v1","client_ca"') == states(1) + [b'ERROR'], at
    server.answers['client_ca.bin.sig'] = plain(stranger.sign(image))
    assert lines(port, 'AT+CIUPDATE=0,"v1","client_ca"') == states(1) + [b'ERROR']
    del server.answers['client_ca.bin.sig']
    flipped = bytearray(image)
    flipped[40] ^= 1
    server.files['client_ca.bin'] = bytes(flipped)
    assert lines(port, 'AT+CIUPDATE=0,"v1","client_ca"') == states(1) + [b'ERROR']
    assert files(state) == {}


VERSION_REPLIES = {
    'no version': plain(b'{"status": 404}'),
    'closes': lambda c: c.close(),
    'beyond 1024 bytes': plain(b' ' * 1024 + b'"rom_version": "v1", '),
    'not ended': plain(b'"rom_version": "v1"'),
    'empty': plain(b'"rom_version": "", '),
    'too long': plain(b'"rom_version": "' + b'v' * 65 + b'", '),
    'control characters': plain(b'"rom_version": "v1\r\nX: y", '),
    'endless': lambda c: [c.sendall(b'x' * 4096) for _ in range(1000)],
}


@pytest.mark.parametrize('name', VERSION_REPLIES)
def test_versions_that_cannot_be(run, server, name):
    server.answers['version'] = VERSION_REPLIES[name]
    _, port = run()
    assert lines(port, 'AT+CIUPDATE=0,,"client_ca"', timeout=15) == states(1, 2) + [b'ERROR']


def test_the_version_comes_in_pieces(run, server, offer, pair):
    offer('client_ca', flash_image.image((flash_image.CA, 0, pair.pem())))
    reply = plain(b'{"rom_version": "v3.0.0.0", "x": 1}')
    server.answers['version'] = update_server.slowly(reply, 0.001, threading.Event())
    _, port = run()
    assert lines(port, 'AT+CIUPDATE=0,,"client_ca"') == states(1, 2, 3, 4) + [b'OK']
    assert update_server.version_of(server.targets()[1]) == 'v3.0.0.0'


def test_no_fetcher(start_pty, state, server, key_file):
    daemon = start_pty('--state', state, '--ota-url', f'http://127.0.0.1:{server.port}', '--ota-key', key_file,
                       '--trace', state=True, env={'ESPAT_FETCH': '/no/such/program'})
    with modem.open_port(daemon.link) as port:
        port.prepare()
        for _ in range(2):
            assert lines(port, 'AT+CIUPDATE=0,"v1","client_ca"') == [b'ERROR']
        daemon.wait_until(lambda: b'/no/such/program: no such file' in daemon.err, 'the reason is traced')
    assert daemon.end() == 0


def test_no_server(start_pty, state, key_file):
    for url, seen in (('http://127.0.0.1:1', states(1)), ('http://no.such.name.invalid', [])):
        daemon = start_pty('--state', state, '--ota-url', url, '--ota-key', key_file, state=True)
        with modem.open_port(daemon.link) as port:
            port.prepare()
            assert lines(port, 'AT+CIUPDATE=0,"v1","client_ca"', timeout=30) == seen + [b'ERROR']
        assert daemon.end() == 0


def test_silent_server_is_given_up_by_a_kill_of_the_modem(run, server):
    """The 3 minutes are the engine's, and tested there; here nothing survives the daemon."""
    server.answers['client_ca.bin'] = update_server.silent
    daemon, port = run()
    lines(port, 'AT+CIUPDATE=0,"v1","client_ca"', b'+CIPUPDATE:1')
    fetch = children(daemon)
    assert len(fetch) == 1
    port.close()
    assert daemon.end(signal.SIGKILL) == -signal.SIGKILL
    end = time.monotonic() + 5
    while runs(fetch[0]) and time.monotonic() < end:
        time.sleep(0.01)
    assert not runs(fetch[0])


def test_the_modem_is_ended_during_an_update(run, server):
    server.answers['client_ca.bin'] = update_server.silent
    daemon, port = run()
    lines(port, 'AT+CIUPDATE=0,"v1","client_ca"', b'+CIPUPDATE:1')
    fetch = children(daemon)
    assert daemon.end(timeout=5) == 0
    assert not any(runs(pid) for pid in fetch)


# ---- HTTPS


@pytest.fixture
def secure(pki):
    """secure(name): an HTTPS server with this certificate of the authority."""
    running = []

    def begin(name):
        running.append(update_server.UpdateServer(certificate=pki.cert(name), key=pki.key(name)))
        return running[-1]

    yield begin
    for server in running:
        server.close()


@pytest.mark.parametrize('by', ['option', 'environment'])
def test_https_verifies_the_server(start_pty, state, secure, pair, pki, by):
    image = flash_image.image((flash_image.CA, 0, pair.pem()))
    args, env = ['--ota-ca', pki.cert('root')], {}
    if by == 'environment':
        args, env = [], {'SSL_CERT_FILE': str(pki.cert('root'))}
    for name, good in {'server': True, 'other': False, 'expired': False, 'self': False}.items():
        server = secure(name)
        server.files['client_ca.bin'] = image # and no signature: the server is verified
        daemon = start_pty('--state', state, '--ota-url', f'https://127.0.0.1:{server.port}', *args, state=True,
                           env=env)
        with modem.open_port(daemon.link) as port:
            port.prepare()
            for mode in (1, 0): # HTTPS serves both
                want = states(1, 2, 3, 4) + [b'OK'] if good else states(1) + [b'ERROR']
                assert lines(port, f'AT+CIUPDATE={mode},,"client_ca"') == want, name
        assert daemon.end() == 0
        assert (files(state) != {}) == good, name
        if good:
            os.unlink(state / 'certificates/client_ca.0.pem')


def test_https_by_name(start_pty, state, secure, pair, pki, nameserver):
    """The name is asked of the modem's own name server, and the certificate must be for it."""
    server = secure('server')
    server.files['client_ca.bin'] = flash_image.image((flash_image.CA, 0, pair.pem()))
    for name, good in (('localhost', True), ('ota.example', False)):
        port_number = nameserver(name)
        daemon = start_pty('--state', state, '--ota-url', f'https://{name}:{server.port}', '--ota-ca',
                           pki.cert('root'), '--dns-port', port_number, state=True)
        with modem.open_port(daemon.link) as port:
            port.prepare()
            port.command('AT+CIPDNS=1,"127.0.0.1"')
            answer = lines(port, 'AT+CIUPDATE=1,"v1","client_ca"')
            assert answer == (states(1, 4) + [b'OK'] if good else states(1) + [b'ERROR']), name
        assert daemon.end() == 0
    assert f'Host: 127.0.0.1:{server.port}\r\n'.encode() in server.requests[0]


@pytest.fixture
def nameserver():
    """nameserver(name): the port of a name server that says 127.0.0.1 of this name and knows no other."""
    sockets = []

    def serve(s, name):
        question = b''.join(bytes([len(label)]) + label for label in name.encode().split(b'.')) + b'\0'
        while True:
            try:
                query, client = s.recvfrom(512)
            except OSError:
                return
            body = query[12:]
            known = body.lower().startswith(question + b'\0\x01')
            flags = b'\x81\x80' if known else b'\x81\x83'
            end = body.index(b'\0') + 5
            answer = b'\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x7f\0\0\x01' if known else b''
            s.sendto(query[:2] + flags + b'\0\x01\0' + bytes([known]) + b'\0\0\0\0' + body[:end] + answer, client)

    def begin(name):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(('127.0.0.1', 0))
        sockets.append(s)
        threading.Thread(target=serve, args=(s, name), daemon=True).start()
        return s.getsockname()[1]

    yield begin
    for s in sockets:
        s.close()


def test_plain_http_where_https_is_expected(start_pty, state, server, pki):
    daemon = start_pty('--state', state, '--ota-url', f'https://127.0.0.1:{server.port}', '--ota-ca',
                       pki.cert('root'), state=True)
    with modem.open_port(daemon.link) as port:
        port.prepare()
        assert lines(port, 'AT+CIUPDATE=1,"v1","client_ca"') == states(1) + [b'ERROR']


# ---- kills


def test_killed_during_an_update(run, server, offer, pair, state, figure):
    """kill -9 at random moments: the certificates are the old ones or the new ones."""
    rng = random.Random(SEED)
    images = [flash_image.image(*((flash_image.CA, n, b'# %d\n' % turn + pair.pem()) for n in range(4))) for turn in range(2)]
    current, seen = 0, {True: 0, False: 0}
    offer('client_ca', images[0])
    daemon, port = run()
    assert lines(port, 'AT+CIUPDATE=0,"v1","client_ca"')[-1] == b'OK'
    for _ in range(12):
        offer('client_ca', images[1 - current])
        port.write(b'AT+CIUPDATE=0,"v1","client_ca"\r\n')
        try:
            port.wait_for(b'OK', timeout=rng.uniform(0, 0.6))
        except modem.Late:
            pass
        daemon.process.kill()
        port.close()
        daemon.wait()
        os.unlink(daemon.link)
        daemon, port = run()
        found = files(state)
        assert sorted(found) == [f'client_ca.{n}.pem' for n in range(4)]
        texts = {text.split(b'\n')[0] for text in found.values()}
        assert len(texts) == 1
        is_new = texts == {b'# %d' % (1 - current)}
        seen[is_new] += 1
        current ^= is_new
    figure(f'12 kills during an update: {seen[False]} old, {seen[True]} new, none mixed')

# SPDX-License-Identifier: MIT
"""AT+SYSFLASH: certificates are provisioned over AT, and are PEM files."""

import os
import random
import signal
import stat
import subprocess

import pytest

import flash_image
import modem
import servers
from authority import Tls
from flash_image import erase, provision, read, write

SEED = 20260722


@pytest.fixture
def run(start_pty, state):
    """run(): (daemon, port) of a modem with a state folder, without echo."""
    ports = []

    def begin(*args):
        daemon = start_pty('--state', state, *args, state=True)
        port = modem.open_port(daemon.link)
        ports.append(port)
        port.command('ATE0')
        return daemon, port

    yield begin
    for port in ports:
        port.close()


@pytest.fixture(scope='module')
def pair(pki):
    return flash_image.Pair(pki, 'client')


def files(state):
    return sorted(path.name for path in (state / 'certificates').iterdir())


@pytest.mark.parametrize('piece', [4, 256, 2048, 8192])
def test_what_is_written_is_read_back(run, state, pair, piece):
    _, port = run()
    data = flash_image.partition((flash_image.CERT, 0, pair.pem()), (flash_image.CERT, 1, pair.pem()))
    provision(port, 'client_cert', data if piece > 4 else data[:(len(pair.pem()) + 8) * 2 + 8], piece)
    assert read(port, 'client_cert') == data
    assert files(state) == ['client_cert.0.pem', 'client_cert.1.pem']
    assert (state / 'certificates/client_cert.0.pem').read_bytes() == pair.pem()
    assert stat.S_IMODE(os.stat(state / 'certificates').st_mode) == 0o700
    assert stat.S_IMODE(os.stat(state / 'certificates/client_cert.0.pem').st_mode) == 0o600


def test_a_person_put_files_there(run, state, pair):
    (state / 'certificates').mkdir(parents=True)
    (state / 'certificates/server_ca.0.pem').write_bytes(pair.pem())
    (state / 'certificates/server_key.3.pem').write_bytes(pair.key_pem())
    _, port = run()
    assert read(port, 'server_ca') == flash_image.partition((flash_image.CA, 0, pair.pem()))
    assert read(port, 'server_key') == flash_image.partition((flash_image.KEY, 3, pair.key_pem()))
    assert read(port, 'server_cert') == b'\xff' * flash_image.BYTES
    assert read(port, 'server_ca', 4, 4) == flash_image.image((flash_image.CA, 0, pair.pem()))[4:8]


def test_der_comes_back_as_der_and_is_pem_on_the_disk(run, state, pair):
    _, port = run()
    # As the firmware's build scripts do it: every item is of type 2.
    cert, key = flash_image.partition((2, 0, pair.der())), flash_image.partition((2, 0, pair.key_der()))
    provision(port, 'client_cert', cert)
    provision(port, 'client_key', key)
    assert read(port, 'client_cert') == cert
    assert read(port, 'client_key') == key
    for name, what in (('client_cert', 'x509'), ('client_key', 'pkey')):
        path = state / f'certificates/{name}.0.pem'
        assert b'-----BEGIN ' in path.read_bytes()
        subprocess.run(['openssl', what, '-in', path, '-noout'], check=True, capture_output=True)


def test_old_items_stay_until_the_image_is_whole(run, state, pair):
    old, new = flash_image.image((2, 0, pair.pem())), flash_image.image((2, 0, b'# new\n' + pair.pem()), (2, 1, pair.pem()))
    path = state / 'certificates/mqtt_ca.0.pem'
    daemon, port = run()
    provision(port, 'mqtt_ca', old)
    kept = path.read_bytes()
    erase(port, 'mqtt_ca')
    assert read(port, 'mqtt_ca') == b'\xff' * flash_image.BYTES
    assert path.read_bytes() == kept
    half = len(new) // 8 * 4
    write(port, 'mqtt_ca', 0, new[:half])
    assert path.read_bytes() == kept
    assert read(port, 'mqtt_ca') == new[:half].ljust(flash_image.BYTES, b'\xff')
    # Half of it outlives a power cut.
    port.close()
    daemon.end(signal.SIGKILL)
    daemon.wait()
    os.unlink(daemon.link)
    _, port = run()
    assert path.read_bytes() == kept
    assert read(port, 'mqtt_ca') == new[:half].ljust(flash_image.BYTES, b'\xff')
    write(port, 'mqtt_ca', half, new[half:])
    assert read(port, 'mqtt_ca') == new.ljust(flash_image.BYTES, b'\xff')
    assert files(state) == ['mqtt_ca.0.pem', 'mqtt_ca.1.pem']


def test_refusals(run):
    _, port = run()
    for line in ('=0,"none"', '=0,"client_ca",1,4096', '=0,"client_ca",4096,8192', '=1,"client_ca",0,8196',
                 '=1,"client_ca",0,3', '=2,"client_ca",8191,2', '=2,"client_ca"', '=3,"client_ca"', '', '=?'):
        port.refused(f'AT+SYSFLASH{line}')


def test_without_a_folder_it_is_empty_and_takes_nothing(host):
    assert read(host, 'client_ca') == b'\xff' * flash_image.BYTES
    host.refused('AT+SYSFLASH=0,"client_ca"')
    host.write(b'AT+SYSFLASH=1,"client_ca",0,4\r\n')
    host.wait_for(b'>')
    host.write(b'abcd')
    assert host.wait_for(b'OK', b'ERROR')[-1] == b'ERROR'


def test_what_was_written_is_what_tls_uses(run, pair, pki, serve):
    """The same connection, refused and accepted as the partitions say; as DER, as small devices have them."""
    served = Tls(pki.server(client_ca='root'), servers.echo)
    server = serve(served)
    _, port = run()
    port.prepare()
    start = f'AT+CIPSTART="SSL","localhost",{server.port}'
    port.command('AT+CIPSSLCCONF=3,0,0')
    assert b'NO CERT FOUND' in port.refused(start)
    provision(port, 'client_cert', flash_image.image((2, 0, pair.der())))
    assert b'NO PRVT_KEY FOUND' in port.refused(start)
    provision(port, 'client_key', flash_image.image((2, 0, pair.key_der())))
    assert b'NO CA FOUND' in port.refused(start)
    provision(port, 'client_ca', flash_image.image((2, 0, pki.cert('stranger').read_bytes())))
    assert modem.start_ssl(port, server) == modem.REFUSED
    provision(port, 'client_ca', flash_image.image((2, 0, pki.cert('root').read_bytes())))
    assert modem.start_ssl(port, server) == modem.OPEN
    modem.echoes(port)
    assert served.seen[-1].getpeercert()


def test_restart_while_it_writes(run, pair):
    _, port = run()
    data = flash_image.image((2, 0, pair.pem()))
    erase(port, 'client_ca')
    for _ in range(10):
        port.write(f'AT+SYSFLASH=1,"client_ca",0,{len(data)}\r\n'.encode())
        port.wait_for(b'>')
        port.write(data)
        # It breaks through while the data is being written; in one read with the data it is dropped.
        port.write(b'AT+RST\r\n')
        if b'Will force to restart!!!' not in port.wait_for(b'OK'):
            port.write(b'AT+RST\r\n')
        port.wait_for(b'ready')
        port.command('ATE0')
    assert read(port, 'client_ca') == data.ljust(flash_image.BYTES, b'\xff')


def test_killed_while_it_writes(run, state, pair, figure):
    """kill -9 at random moments: the items are the old ones or the new ones, all of them."""
    rng = random.Random(SEED)
    images = [flash_image.partition(*((2, n, f'# {turn}\n'.encode() + pair.pem()) for n in range(4))) for turn in range(2)]
    daemon, port = run()
    provision(port, 'client_cert', images[0], 8192)
    current = 0
    seen = {True: 0, False: 0}
    for _ in range(15):
        erase(port, 'client_cert')
        port.write(b'AT+SYSFLASH=1,"client_cert",0,8192\r\n')
        port.wait_for(b'>')
        port.write(images[1 - current])
        try:
            port.wait_for(b'OK', timeout=rng.uniform(0, 0.03))
        except modem.Late:
            pass
        daemon.process.kill()
        port.close()
        daemon.wait()
        os.unlink(daemon.link)
        daemon, port = run()
        assert [name for name in files(state) if name.endswith('.pem')] == [f'client_cert.{n}.pem' for n in range(4)]
        texts = {path.read_bytes().split(b'\n')[0] for path in (state / 'certificates').glob('*.pem')}
        assert len(texts) == 1, texts
        is_new = texts == {f'# {1 - current}'.encode()}
        seen[is_new] += 1
        if is_new:
            current = 1 - current
        provision(port, 'client_cert', images[current], 8192)
    figure(f'15 kills while a partition is written: {seen[False]} old, {seen[True]} new, none mixed')

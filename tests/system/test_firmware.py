# SPDX-License-Identifier: MIT
"""System images: installed by AT+CIUPDATE, started, rolled back by AT+SYSROLLBACK, and given up when they do not start.
The images are this very daemon under other version numbers, and small programs that are none."""

import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import time

import pytest

import modem
import update_server
from update_server import plain

SEED = 20260722


@pytest.fixture(scope='module')
def own_version(program):
    return subprocess.run([program, '--version'], capture_output=True, text=True, check=True).stdout.split()[1]


@pytest.fixture(scope='module')
def image_of(program, own_version):
    """image_of("9.9.9"): the daemon as an image of that version."""
    with open(program, 'rb') as file:
        text = file.read()

    def make(version):
        assert len(version) == len(own_version)
        return text.replace(own_version.encode(), version.encode())

    return make


@pytest.fixture(scope='module')
def compiled(tmp_path_factory):
    """compiled(text): the executable of a C program."""
    compiler = shutil.which('gcc') or shutil.which('cc')
    if not compiler:
        pytest.skip('there is no C compiler')

    def build(text):
        folder = tmp_path_factory.mktemp('image')
        (folder / 'image.c').write_text(text)
        subprocess.run([compiler, '-o', folder / 'image', folder / 'image.c'], check=True)
        return (folder / 'image').read_bytes()

    return build


@pytest.fixture
def server(signer):
    running = update_server.UpdateServer()

    def offer(image):
        running.files['ota.bin'] = image
        running.files['ota.bin.sig'] = signer.sign(image)

    running.offer = offer
    yield running
    running.close()


@pytest.fixture
def arguments(state, server, signer):
    return ['--state', state, '--ota-url', f'http://127.0.0.1:{server.port}', '--ota-key', signer.public]


@pytest.fixture
def run(start_pty, arguments):
    """run(): (daemon, port) of a joined modem."""
    ports = []

    def begin(*args, **more):
        daemon = start_pty(*arguments, *args, state=True, **more)
        ports.append(modem.open_port(daemon.link))
        return daemon, ports[-1].prepare()

    yield begin
    for port in ports:
        port.close()


def version_of(port):
    return re.search(rb'espat (\d+\.\d+\.\d+)', b' '.join(port.command('AT+GMR')))[1].decode()


def restarted(port):
    """It did restart, and the port was open all the time."""
    port.wait_for(b'ready', timeout=20)
    return port.prepare()


def update(port, *more):
    port.write(b'AT+CIUPDATE=0,"v1"%s\r\n' % b''.join(more))
    return port.wait_for(b'OK', b'ERROR', timeout=30)


DONE = [b'+CIPUPDATE:1', b'+CIPUPDATE:4', b'OK']
REFUSED = [b'+CIPUPDATE:1', b'ERROR']


def boot(state):
    return json.loads((state / 'firmware/boot.json').read_text())


def test_installed_started_and_rolled_back(run, server, image_of, own_version, state):
    daemon, port = run()
    assert version_of(port) == own_version
    port.refused('AT+SYSROLLBACK')
    server.offer(image_of('8.8.8'))
    assert update(port) == DONE
    restarted(port)
    assert version_of(port) == '8.8.8'
    daemon.wait_until(lambda: boot(state) == {'boot': 'slot0', 'before': 'installed', 'proven': True}, 'proven')
    # And from the second image to a third.
    server.offer(image_of('9.9.9'))
    assert update(port) == DONE
    restarted(port)
    assert version_of(port) == '9.9.9'
    assert boot(state) == {'boot': 'slot1', 'before': 'slot0', 'proven': True}
    port.close()
    assert daemon.end() == 0
    assert not os.path.lexists(daemon.link)
    # A new process starts the choice.
    daemon, port = run()
    assert version_of(port) == '9.9.9'
    port.command('AT+SYSROLLBACK')
    restarted(port)
    assert version_of(port) == '8.8.8'
    port.refused('AT+SYSROLLBACK')
    assert boot(state) == {'boot': 'slot0', 'before': '', 'proven': True}
    assert daemon.end() == 0


def test_settings_and_pid_stay(run, server, image_of):
    daemon, port = run()
    port.command('AT+SYSMSG=3')
    server.offer(image_of('8.8.8'))
    assert update(port) == DONE
    restarted(port)
    assert port.command('AT+SYSMSG?') == [b'+SYSMSG:3']
    assert daemon.process.poll() is None
    assert daemon.end(signal.SIGINT) == 0
    assert not os.path.lexists(daemon.link)


def test_not_blocking_waits_for_the_restart(run, server, image_of, own_version):
    _, port = run()
    server.offer(image_of('8.8.8'))
    port.write(b'AT+CIUPDATE=0,"v1",,1\r\n')
    port.wait_for(b'+CIPUPDATE:4', timeout=30)
    assert version_of(port) == own_version
    port.write(b'AT+RST\r\n')
    restarted(port)
    assert version_of(port) == '8.8.8'
    port.command('AT+SYSROLLBACK')
    restarted(port)
    assert version_of(port) == own_version


def test_rollback_before_the_restart(run, server, image_of, own_version):
    _, port = run()
    server.offer(image_of('8.8.8'))
    port.write(b'AT+CIUPDATE=0,"v1",,1\r\n')
    port.wait_for(b'+CIPUPDATE:4', timeout=30)
    port.command('AT+SYSROLLBACK')
    restarted(port)
    assert version_of(port) == own_version


def test_images_that_are_refused(run, server, image_of, own_version, state, signer, stranger):
    daemon, port = run()
    good = image_of('8.8.8')
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    cases = {
        'unsigned': (plain(good), plain(b'', '404 Not Found')),
        'flipped bit': (plain(bytes(flipped)), plain(signer.sign(good))),
        "another's signature": (plain(good), plain(stranger.sign(good))),
        'no ELF': (plain(b'\xe9' + good[1:]), plain(signer.sign(good))),
        'short': ((lambda c: (c.sendall(plain(good[:-1], length=len(good))), c.close())), plain(signer.sign(good))),
        'too large': (plain(good, length=(64 << 20) + 1), plain(signer.sign(good))),
        'no length': (plain(good, length=False), plain(signer.sign(good))),
    }
    for name, (image, signature) in cases.items():
        server.answers = {'ota.bin': image, 'ota.bin.sig': signature}
        assert update(port) == REFUSED, name
        assert version_of(port) == own_version
        port.refused('AT+SYSROLLBACK')
        daemon.wait_until(lambda: not list((state / 'firmware').iterdir()), f'{name}: nothing is left')


def test_without_a_key_or_with_several_modems(start, server, image_of, arguments, folder):
    server.offer(image_of('8.8.8'))
    for args, link in ((arguments[:4], 'one'), (arguments + ['--count', 2], 'two%d')):
        daemon = start(f'--pty={folder / link}', *args)
        path = folder / link.replace('%d', '0')
        daemon.wait_until(path.exists, f'{path} appears')
        with modem.open_port(path) as port:
            port.prepare()
            assert update(port) == [b'ERROR']
            port.refused('AT+SYSROLLBACK')
        assert daemon.end() == 0
    assert server.connections == 0


BROKEN = {
    'ends at once': 'int main(void) { return 0; }',
    'fails': 'int main(void) { return 1; }',
    'crashes': 'int main(void) { __builtin_trap(); }',
}


@pytest.mark.parametrize('name', BROKEN)
def test_an_image_that_does_not_come_up(run, server, compiled, own_version, state, name):
    daemon, port = run()
    server.offer(compiled(BROKEN[name]))
    assert update(port) == DONE
    restarted(port)
    assert version_of(port) == own_version
    assert boot(state) == {'boot': 'installed', 'before': '', 'proven': True}
    assert b'firmware slot0 does not come up' in daemon.err
    port.refused('AT+SYSROLLBACK')
    assert daemon.end() == 0


def test_an_image_that_never_comes_up(run, server, image_of, compiled, state):
    """It falls back after 10 s to the one before, which is not the installed one."""
    daemon, port = run()
    server.offer(image_of('8.8.8'))
    assert update(port) == DONE
    restarted(port)
    server.offer(compiled('#include <unistd.h>\nint main(void) { for (;;) pause(); }'))
    assert update(port) == DONE
    begin = time.monotonic()
    restarted(port)
    assert 9 < time.monotonic() - begin < 14
    assert version_of(port) == '8.8.8'
    assert boot(state) == {'boot': 'slot0', 'before': '', 'proven': True}
    assert daemon.end() == 0


def test_stopped_while_an_image_does_not_come_up(run, server, compiled):
    daemon, port = run()
    server.offer(compiled('#include <unistd.h>\nint main(void) { for (;;) pause(); }'))
    assert update(port) == DONE
    daemon.wait_until(lambda: children(daemon.pid), 'the image runs')
    assert daemon.end() in (0, -signal.SIGTERM)
    assert not children(daemon.pid)


def children(pid):
    return subprocess.run(['pgrep', '-P', str(pid)], capture_output=True, text=True).stdout.split()


def test_an_image_that_is_gone_or_damaged(run, server, image_of, own_version, state):
    """What the disk did to it: the modem starts."""
    daemon, port = run()
    server.offer(image_of('8.8.8'))
    assert update(port) == DONE
    restarted(port)
    port.close()
    assert daemon.end() == 0
    slot, choice = state / 'firmware/slot0', (state / 'firmware/boot.json').read_text()
    kept = slot.read_bytes()

    def cut():
        slot.write_bytes(kept[:1000])

    def give_away():
        slot.chmod(0o777)

    for harm in (slot.unlink, cut, give_away, lambda: (state / 'firmware/boot.json').write_text('{"boot": "slot7"')):
        slot.write_bytes(kept)
        slot.chmod(0o700)
        (state / 'firmware/boot.json').write_text(choice)
        harm()
        daemon, port = run()
        assert version_of(port) == own_version
        assert b'firmware' in daemon.err
        port.close()
        assert daemon.end() == 0


def test_status_and_signals_pass(run, start, server, image_of, folder, arguments):
    daemon, port = run()
    server.offer(image_of('8.8.8'))
    assert update(port) == DONE
    restarted(port)
    # A second process on this folder is refused, and is no reason to fall back.
    second = start(f'--pty={folder / "second"}', *arguments)
    assert second.wait() == 1
    assert b'another espat uses it' in second.err
    image = int(children(daemon.pid)[0])
    os.kill(image, signal.SIGKILL)
    assert daemon.wait() == -signal.SIGKILL
    os.unlink(daemon.link)
    port.close()
    # The path is taken: that is not the image's fault, and its status passes.
    (folder / 'modem').write_text('')
    third = start(f'--pty={folder / "modem"}', *arguments)
    assert third.wait() == 1
    assert b'that was firmware slot0' in third.err
    os.unlink(folder / 'modem')
    daemon, port = run()
    assert version_of(port) == '8.8.8'
    image = int(children(daemon.pid)[0])
    daemon.process.kill()
    daemon.wait()
    end = time.monotonic() + 5
    while os.path.lexists(daemon.link) and time.monotonic() < end:
        time.sleep(0.01)
    assert not os.path.lexists(daemon.link), 'the image ends in order when its supervisor is gone'


@pytest.mark.parametrize('kind', ['unix', 'tcp'])
def test_connections_stay_open(start, arguments, server, image_of, folder, kind):
    server.offer(image_of('8.8.8'))
    place = folder / 'socket' if kind == 'unix' else 0
    daemon = start(f'--{kind}={place}', *arguments)
    daemon.wait_until(lambda: b'modem on' in daemon.out, 'it listens')
    if kind == 'tcp':
        place = ('127.0.0.1', int(re.search(rb'127\.0\.0\.1:(\d+)', daemon.out)[1]))
    with modem.open_socket(place) as port:
        port.prepare()
        assert update(port) == DONE
        restarted(port)
        assert version_of(port) == '8.8.8'
    with modem.open_socket(place) as port:
        port.command('ATE0')
        assert version_of(port) == '8.8.8'
        port.command('AT+SYSROLLBACK')
        restarted(port)
    assert daemon.end() == 0
    assert not os.path.lexists(folder / 'socket')


def test_stdio(start, arguments, server, image_of):
    server.offer(image_of('8.8.8'))
    daemon = start('--stdio', *arguments, stdin=subprocess.PIPE)
    pipes = daemon.process.stdout, daemon.process.stdin
    port = modem.Modem(pipes[0].fileno(), pipes[1].fileno(), None)
    port.prepare()
    assert update(port) == DONE
    restarted(port)
    assert version_of(port) == '8.8.8'
    pipes[1].close()
    assert daemon.wait() == 0


def test_only_the_loop_takes_signals(run):
    """Between two images their action is the default one, which would end the process in any thread that does not block them."""
    daemon, port = run()
    port.command('AT+CWMODE=1')  # a thread has stored it
    others = [task for task in pathlib.Path(f'/proc/{daemon.pid}/task').iterdir() if task.name != str(daemon.pid)]
    assert others
    for task in others:
        blocked = int(re.search(r'SigBlk:\s*(\w+)', (task / 'status').read_text())[1], 16)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            assert blocked & 1 << number - 1, f'{task.name} takes {number.name}'


@pytest.mark.parametrize('ignored', ['', 'INT HUP'])
def test_told_to_end_while_it_restarts(run, program, server, image_of, ignored):
    """A signal between two images is for the one that comes; also for a modem in the background of a script, which ignores
    the others."""
    ignores = ['sh', '-c', f'trap "" {ignored}; exec "$0" "$@"', program] if ignored else program
    daemon, port = run(program=ignores)
    for version in ('8.8.8', '9.9.9', '7.7.7'):
        server.offer(image_of(version))
        assert update(port) == DONE
        port.close()
        assert daemon.end() == 0, daemon.err
        assert not os.path.lexists(daemon.link)
        daemon, port = run(program=ignores)
        assert version_of(port) == version


def test_killed_during_an_update(run, server, image_of, own_version, state, figure):
    """kill -9 of everything at random moments of an update: the next start serves, with the old image or the new one."""
    rng = random.Random(SEED)
    versions = ['7.7.7', '8.8.8']
    images = {version: image_of(version) for version in versions}
    daemon, port = run()
    current, seen = own_version, {}
    for turn in range(10):
        new = versions[turn % 2]
        server.offer(images[new])
        port.write(b'AT+CIUPDATE=0,"v1"\r\n')
        try:
            port.wait_for(b'ready', timeout=rng.uniform(0, 1.5))
        except modem.Late:
            pass
        image = children(daemon.pid)
        daemon.process.kill()
        for pid in image:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass
        port.close()
        daemon.wait()
        if os.path.lexists(daemon.link):
            os.unlink(daemon.link)
        daemon, port = run()
        found = version_of(port)
        assert found in (current, new), (turn, found, current, new)
        seen[found == new] = seen.get(found == new, 0) + 1
        current = found
    figure(f'10 kills during an update of the firmware: {seen.get(False, 0)} old, {seen.get(True, 0)} new, all started')

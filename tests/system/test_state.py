# SPDX-License-Identifier: MIT
"""Settings: they survive a restart and a kill at any moment, and a folder that fails is answered and reported."""

import json
import os
import random
import shutil
import signal
import stat
import subprocess

import pytest

import modem

SEED = int(os.environ.get('ESPAT_SEED', '0')) or int.from_bytes(os.urandom(4), 'big')


@pytest.fixture
def run(start_pty, state):
    """run(): a daemon that keeps its settings in `state`."""
    return lambda *args, **more: start_pty('--state', state, *args, state=True, **more)


@pytest.fixture
def mounted(folder):
    """mounted(options): a small file system of its own; gives (folder, remount)."""
    points = []

    def mount(size):
        point = folder / f'mount{len(points)}'
        point.mkdir()
        done = subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={size},mode=0700', 'none', point],
                              capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f'mounting is not permitted here: {done.stderr.strip()}')
        points.append(point)
        return point

    def remount(point, how):
        done = subprocess.run(['mount', '-o', f'remount,{how}', point], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f'remounting is not permitted here: {done.stderr.strip()}')

    if not shutil.which('mount'):
        pytest.skip('there is no mount')
    yield mount, remount
    for point in points:
        subprocess.run(['umount', '-l', point], check=False)


SETTINGS = {
    'AT+CWMODE': '3',
    'AT+SYSMSG': '3',
    'AT+CIPSTAMAC': '"1a:fe:35:98:d3:7b"',
    'AT+CWSAP': '"soft\\,ap","password",5,3,2,1',
    'AT+CWRECONNCFG': '7,100',
    'AT+UART_DEF': '57600,8,1,0,0',
}


def query(port, name):
    return port.command(f'{name}?')


def test_settings_survive_a_restart(run, state):
    daemon = run()
    with modem.open_port(daemon.link) as port:
        port.command('ATE0')
        for name, value in SETTINGS.items():
            port.command(f'{name}={value}')
        port.command('AT+CWJAP="net","password"')
        before = {name: query(port, name) for name in SETTINGS}
    assert daemon.end() == 0
    assert stat.S_IMODE(os.stat(state).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(state / 'settings.json').st_mode) == 0o600
    json.loads((state / 'settings.json').read_text())
    daemon = run()
    with modem.open_port(daemon.link) as port:
        port.command('ATE0')
        # The last access point is joined again by itself.
        port.poll('AT+CWSTATE?', b'+CWSTATE:2,"net"')
        assert {name: query(port, name) for name in SETTINGS} == before
        port.command('AT+RESTORE')
        port.wait_for(b'ready')
        port.command('ATE0')
        assert query(port, 'AT+CWMODE') != before['AT+CWMODE']
    assert daemon.end() == 0
    with modem.open_port(run().link) as port:
        port.command('ATE0')
        assert query(port, 'AT+SYSMSG') == [b'+SYSMSG:0']


def test_sysstore_0_keeps_nothing(run, state):
    daemon = run()
    with modem.open_port(daemon.link) as port:
        port.command('ATE0')
        port.command('AT+SYSSTORE=0')
        port.command('AT+CWMODE=2')
        assert query(port, 'AT+CWMODE') == [b'+CWMODE:2']
    daemon.end(signal.SIGKILL)
    os.unlink(daemon.link)
    with modem.open_port(run().link) as port:
        port.command('ATE0')
        assert query(port, 'AT+CWMODE') != [b'+CWMODE:2']


def test_answered_ok_survives_a_kill(run, state, figure):
    """kill -9 at random moments: what was answered OK is there, what was not is there or not, and never torn."""
    rng = random.Random(SEED)
    known = 0
    answered = torn_off = 0
    for turn in range(25):
        daemon = run()
        with modem.open_port(daemon.link) as port:
            port.command('ATE0')
            found = query(port, 'AT+CWRECONNCFG')[0]
            # Interval 1 and count 0 are the factory settings.
            number = int(found.rsplit(b',', 1)[1])
            assert number in (known, known + 1), f'ESPAT_SEED={SEED}, turn {turn}: {found}, was {known}'
            known = number
            patience = rng.uniform(0, 0.012)
            for _ in range(30):
                number = known % 999 + 1
                port.write(b'AT+CWRECONNCFG=7,%d\r\n' % number)
                try:
                    port.wait_for(b'OK', timeout=patience if rng.random() < 0.1 else modem.DEADLINE_S)
                except modem.Late:
                    torn_off += 1
                    break
                known = number
                answered += 1
            daemon.process.kill()
        daemon.wait()
        os.unlink(daemon.link)
        json.loads((state / 'settings.json').read_text())
        assert b'damaged' not in daemon.err
    figure(f'25 kills: {answered} settings answered OK, {torn_off} cut off; none lost')


DAMAGED = {
    'empty': '', 'cut off': '{"cwmode": 1,', 'no object': '[]', 'null': 'null', 'out of range': '{"cwmode": 9}',
    'wrong kind': '{"cwmode": "one"}', 'wrong kind of text': '{"ssid": 1}', 'tail': '{"cwmode": 1} tail',
    'zeros': '\0' * 100, 'deep': '{"a":' * 5000, 'huge number': '{"cwmode": 1e99}', 'too long': ' ' * 100000 + '{}',
}


@pytest.mark.parametrize('text', DAMAGED.values(), ids=DAMAGED.keys())
def test_damaged_settings_are_set_aside(run, state, text):
    state.mkdir(mode=0o700)
    (state / 'settings.json').write_text(text)
    daemon = run()
    with modem.open_port(daemon.link) as port:
        port.command('ATE0')
        assert query(port, 'AT+SYSMSG') == [b'+SYSMSG:0']
        port.command('AT+SYSMSG=1')
    assert daemon.end() == 0
    assert daemon.err.count(b'\n') == 1 and b'settings.json' in daemon.err, daemon.err
    kept = [path for path in state.iterdir() if path.name not in ('settings.json', 'lock')]
    assert [path.read_text() for path in kept] == [text]
    daemon = run()
    with modem.open_port(daemon.link) as port:
        port.command('ATE0')
        assert query(port, 'AT+SYSMSG') == [b'+SYSMSG:1']
    assert daemon.end() == 0
    assert daemon.err == b''


def test_settings_that_are_no_file(run, state):
    (state / 'settings.json').mkdir(parents=True)
    daemon = run()
    with modem.open_port(daemon.link) as port:
        port.command('ATE0')
    assert daemon.end() == 0
    assert daemon.err.count(b'\n') == 1, daemon.err


def test_two_processes_one_folder(run, start, state, folder):
    daemon = run()
    second = start(f'--pty={folder / "second"}', '--state', state)
    assert second.wait() == 1
    assert second.err.count(b'\n') == 1 and str(state).encode() in second.err, second.err
    assert not os.path.lexists(folder / 'second')
    with modem.open_port(daemon.link) as port:
        port.command('ATE0')
    daemon.end(signal.SIGKILL)
    # A lock does not outlive its process.
    third = start(f'--pty={folder / "third"}', '--state', state)
    third.wait_until(lambda: os.path.exists(folder / 'third'), 'the third runs')


def test_folder_that_cannot_be_made(start, folder):
    (folder / 'file').write_text('')
    daemon = start('--pty', '--state', folder / 'file' / 'state')
    assert daemon.wait() == 1
    assert daemon.err.count(b'\n') == 1 and b'state' in daemon.err, daemon.err


def test_folder_is_read_only_at_start(start, mounted):
    mount, remount = mounted
    point = mount('64k')
    remount(point, 'ro')
    daemon = start('--pty', '--state', point)
    assert daemon.wait() == 1
    assert daemon.err.count(b'\n') == 1 and str(point).encode() in daemon.err, daemon.err


def test_folder_of_another_user(start, folder):
    if os.geteuid() == 0:
        pytest.skip('root may write everywhere')
    state = folder / 'state'
    state.mkdir(mode=0o500)
    daemon = start('--pty', '--state', state)
    assert daemon.wait() == 1
    assert daemon.err.count(b'\n') == 1, daemon.err


def fails_then_recovers(start_pty, point, break_it, mend_it):
    daemon = start_pty('--state', point, state=True)
    with modem.open_port(daemon.link) as port:
        port.command('ATE0')
        port.command('AT+SYSMSG=1')
        break_it()
        port.refused('AT+SYSMSG=2')
        port.refused('AT+SYSMSG=3')
        assert query(port, 'AT+SYSMSG') == [b'+SYSMSG:3'], 'it holds until the restart'
        port.command('AT')
        # The file on the disk is still the old one, whole.
        json.loads((point / 'settings.json').read_text())
        mend_it()
        port.command('AT+SYSMSG=4')
    assert daemon.end() == 0
    assert daemon.err.count(b'\n') == 1 and str(point).encode() in daemon.err, daemon.err
    daemon = start_pty('--state', point, state=True)
    with modem.open_port(daemon.link) as port:
        port.command('ATE0')
        assert query(port, 'AT+SYSMSG') == [b'+SYSMSG:4']
    assert daemon.end() == 0


def test_folder_takes_no_new_file(start_pty, folder):
    """As when it became read-only: the file's temporary name is taken by a folder, which even root cannot write."""
    state = folder / 'state'
    state.mkdir(mode=0o700)
    taken = state / 'settings.json.new'
    fails_then_recovers(start_pty, state, taken.mkdir, taken.rmdir)


def test_disk_is_full(start_pty, mounted):
    mount, _ = mounted
    point = mount('64k')

    def fill():
        with open(point / 'ballast', 'wb', buffering=0) as ballast:
            try:
                for _ in range(1000):
                    ballast.write(bytes(4096))
            except OSError:
                return
        pytest.skip('the small file system has no limit')

    fails_then_recovers(start_pty, point, fill, lambda: os.unlink(point / 'ballast'))


def test_default_folder(start_pty, folder):
    daemon = start_pty(state=True)
    with modem.open_port(daemon.link) as port:
        port.command('ATE0')
        port.command('AT+SYSMSG=1')
    assert daemon.end() == 0
    assert (folder / 'xdg' / 'espat' / 'settings.json').exists()


def test_no_state_writes_nothing(start_pty, folder):
    daemon = start_pty()
    with modem.open_port(daemon.link) as port:
        port.command('ATE0')
        port.command('AT+SYSMSG=1')
    assert daemon.end() == 0
    assert list(folder.iterdir()) == []

# SPDX-License-Identifier: MIT
"""kill -9 at every write: the daemon is killed before, in the middle of and after each call that changes a file, and the
next one starts from what that left, with the old or the new, whole, and nothing lying about.

Of one call that is made very often in a row only the first and the last are played, but with ESPAT_TORTURE=all."""

import os
import re
import signal
import subprocess

import pytest

import flash_image
import torture
import update_server

pytestmark = pytest.mark.torture

# What changes a file or a folder, and what brings it to the disk.
WRITES = re.compile(r'(write|fsync|close)/(file|folder)|renameat|unlinkat|mkdir(at)?|rename|symlink')
MANY = 20


class Settings:
    """What was answered OK is there; what was not is there or not."""

    folder, files = '.', {'lock', 'settings.json'}

    def __init__(self, _):
        self.kept = self.tried = 0

    def prepare(self, run):
        pass

    def arguments(self):
        return []

    def write(self, host):
        for self.tried in (5, 6):
            host.do(f'AT+CWRECONNCFG=3,{self.tried}')
            self.kept = self.tried

    def check(self, host, _):
        host.write(b'AT+CWRECONNCFG?\r\n')
        number = int(host.expect(b'OK')[-2].rsplit(b',', 1)[1])
        assert number in (self.kept, self.tried), f'{number} is kept, {self.kept} was answered OK'


class Certificates:
    """All items are the old ones, or all are the new ones. A partition that is half written stays so."""

    folder, files = 'certificates', {'client_cert.0.pem', 'client_cert.1.pem', 'client_cert.bin'}

    def __init__(self, made):
        self.pem = made.pki.cert('client').read_bytes()
        self.done = False

    def prepare(self, run):
        folder = run.state / self.folder
        folder.mkdir(mode=0o700, parents=True)
        for number in range(2):
            (folder / f'client_cert.{number}.pem').write_bytes(b'# old\n' + self.pem)

    def arguments(self):
        return []

    def write(self, host):
        image = flash_image.partition(*((flash_image.CERT, number, b'# new\n' + self.pem) for number in range(2)))
        host.do('AT+SYSFLASH=0,"client_cert"')
        host.write(b'AT+SYSFLASH=1,"client_cert",0,8192\r\n')
        host.expect(b'>')
        host.write(image)
        host.expect(b'OK')
        self.done = True

    def check(self, _, run):
        found = sorted((run.state / self.folder).glob('*.pem'))
        assert len(found) == 2, found
        texts = {path.read_bytes().split(b'\n')[0] for path in found}
        assert texts in ([{b'# new'}] if self.done else [{b'# new'}, {b'# old'}]), texts


class Firmware:
    """The old image runs, or the new one, which was brought whole."""

    folder, files = 'firmware', {'slot0', 'boot.json'}

    def __init__(self, made):
        self.done = False
        self.server, self.public = made.server, made.signer.public
        self.old, self.new = made.version, '9.9.9'

    def prepare(self, run):
        pass

    def arguments(self):
        return ['--ota-url', f'http://127.0.0.1:{self.server.port}', '--ota-key', self.public, '--join', 'net']

    def write(self, host):
        host.do('AT+CWJAP="net"')
        host.write(b'AT+CIUPDATE=0,"v1"\r\n')
        host.expect(b'OK')
        self.done = True

    def check(self, host, _):
        host.write(b'AT+GMR\r\n')
        version = re.search(rb'espat (\d+\.\d+\.\d+)', b' '.join(host.expect(b'OK')))[1].decode()
        assert version in ([self.new] if self.done else [self.old, self.new]), version


@pytest.fixture(scope='module')
def made(torturer, program):
    """What the subjects need: an authority, and a server with a signed image of the daemon under another version."""
    torturer.version = subprocess.run([program, '--version'], capture_output=True, text=True, check=True).stdout.split()[1]
    torturer.server = update_server.UpdateServer()
    with open(program, 'rb') as file:
        image = file.read().replace(torturer.version.encode(), b'9.9.9')
    torturer.server.files = {'ota.bin': image, 'ota.bin.sig': torturer.signer.sign(image)}
    yield torturer
    torturer.server.close()


def write(subject, run):
    """The daemon runs, writes, and ends or is killed."""
    subject.prepare(run)
    run.start(*subject.arguments())
    try:
        if run.open():
            subject.write(run.host)
            run.process.terminate()
    except (torture.Cut, OSError):
        pass
    run.detach()
    return run.process.wait(torture.START_S)


def remove_link(run):
    """Of its link nothing but the link may be there."""
    found = [path for path in run.link.parent.iterdir() if path.name.startswith(run.link.name)]
    assert found in ([], [run.link]), found
    run.link.unlink(missing_ok=True)


def restart(subject, run):
    """The next daemon has nothing to complain of, and the folder is in order."""
    remove_link(run)
    run.fault = None
    run.start(*subject.arguments())
    assert run.open(), f'it does not start: {run.err()}'
    subject.check(run.host, run)
    run.detach()
    folder = run.state / subject.folder
    names = {path.name for path in folder.iterdir() if path.is_file()} if folder.exists() else set()
    assert names <= subject.files, f'this was left: {names - subject.files}'
    run.process.terminate()
    assert run.process.wait(torture.START_S) == 0
    assert run.err() == '', run.err()


def chosen(count):
    """Which of so many calls of one name."""
    if count <= MANY or os.environ.get('ESPAT_TORTURE') == 'all':
        return range(1, count + 1)
    return [*range(1, MANY // 2 + 1), *range(count - MANY // 2 + 1, count + 1)]


def trial(made, kind, fault=None):
    run = made.run(kind, fault)
    subject = kind(made)
    try:
        status = write(subject, run)
        assert status == (-signal.SIGKILL if run.struck() else 0), f'it ended with {status}: {run.err()}'
        hit, calls = run.struck(), run.calls()
        restart(subject, run)
    finally:
        run.close()
    run.forget()
    return hit, calls


@pytest.mark.parametrize('how', ['before', 'after'])
@pytest.mark.parametrize('call', ['unlink', 'symlink'])
def test_killed_while_it_makes_its_link(torturer, call, how):
    """It finds the link of one that was killed before, and is killed itself; the next one has it, and removes it."""
    run = torturer.run(test_killed_while_it_makes_its_link, torture.Fault(call, 1, how))
    try:
        run.link.symlink_to('/dev/pts/none')
        run.start()
        assert run.process.wait(torture.START_S) == -signal.SIGKILL
        assert [path.name for path in run.folder.iterdir() if path.name.startswith('modem')] in ([], ['modem'])
        run.fault = None
        run.start()
        assert run.open(), run.err()
        run.detach()
        run.process.terminate()
        assert run.process.wait(torture.START_S) == 0
        remove_link(run)
        assert not any('modem' in path.name for path in run.folder.iterdir())
    finally:
        run.close()


@pytest.mark.limit(600)
@pytest.mark.parametrize('kind', [Settings, Certificates, Firmware], ids=lambda kind: kind.__name__.lower())
def test_killed_at_every_write(made, kind, figure):
    _, calls = trial(made, kind)
    counts = {call.name: 0 for call in calls if WRITES.fullmatch(call.name)}
    for call in calls:
        if call.name in counts:
            counts[call.name] += 1
    kills = [torture.Fault(name, k, how) for name, count in counts.items() for k in chosen(count)
             for how in (('before', 'torn', 'after') if name.startswith('write') else ('after',))]
    reached = 0
    for fault in kills:
        try:
            hit, _ = trial(made, kind, fault)
        except AssertionError as error:
            pytest.fail(f'{fault}: {error}', pytrace=False)
        reached += hit is not None
    figure(f'{kind.__name__.lower()}: killed {reached} times at {sum(counts.values())} calls that write, nothing torn, nothing left')
    assert reached == len(kills)

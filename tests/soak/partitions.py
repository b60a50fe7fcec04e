# SPDX-License-Identifier: MIT
"""Scenarios with the certificates of a process, which all its modems share: written by a host, and by updates. Other hosts
use them all the while, so those of index 0 are always there, and always for the same key."""

import collections
import contextlib
import re
import threading

import flash_image
import update_server
from host import PATIENCE_S, Host
from update_server import plain

NAMES = tuple(f'{whose}_{what}' for whose in ('client', 'server', 'mqtt') for what in ('ca', 'cert', 'key'))
# All that may lie in a state folder at rest.
KEPT = re.compile(r'lock|(\d+/)?settings\.json|certificates/(%s)\.\d+\.pem' % '|'.join(NAMES))
STEPS = [1, 2, 3, 4]  # of an update that asks for the newest version; one that names it has the first and the last


class Certificates:
    """Those of one process in its folder, and the server that has newer ones."""

    def __init__(self, state, pki, signer, address):
        self.state, self.signer = state, signer
        self.server = update_server.UpdateServer(address=address)
        self.server.requests = collections.deque(maxlen=1)  # nobody looks at them here, and an hour is long
        self._texts = {'ca': (flash_image.CA, pki.cert('root').read_bytes()),
                       'cert': (flash_image.CERT, pki.cert('soak').read_bytes()),
                       'key': (flash_image.KEY, pki.key('soak').read_bytes())}
        self._locks = {name: threading.Lock() for name in NAMES}
        pki.install(state, client_ca_0='root', server_cert_0='soak', server_key_0='soak')

    @contextlib.contextmanager
    def one(self, rng):
        """A partition that no other host changes meanwhile."""
        names = rng.sample(NAMES, len(NAMES))
        name = next((name for name in names if self._locks[name].acquire(blocking=False)), None)
        if name is None:
            name = names[0]
            assert self._locks[name].acquire(timeout=PATIENCE_S), f'{name} is never free'
        try:
            yield name
        finally:
            self._locks[name].release()

    def image(self, name, rng):
        """Some items, which nobody has seen before: their indices and the image."""
        kind, text = self._texts[name.rpartition('_')[2]]
        indices = [0, *sorted(rng.sample(range(1, 256), rng.randrange(1, 4)))]
        return indices, flash_image.image(*(
            (kind, index, b'# %s\n' % rng.randbytes(rng.randrange(8, 500)).hex().encode() + text) for index in indices))

    def offer(self, name, answer, signature=None):
        """By the server: these bytes as they are, or what makes the answer."""
        self.server.answers[f'{name}.bin'] = answer
        self.server.answers[f'{name}.bin.sig'] = plain(signature or bytes(64))

    def sign(self, image):
        return self.signer.sign(image)

    def strays(self):
        """Files that nobody needs any more."""
        paths = (path.relative_to(self.state) for path in self.state.rglob('*') if not path.is_dir())
        return sorted(str(path) for path in paths if not KEPT.fullmatch(str(path)))


class Partitions(Host):
    def provision(self):
        """AT+SYSFLASH, by itself."""
        for _ in range(self.random.randrange(1, 3)):
            self.write_one()

    def provision_under_load(self):
        """The same while links bring data, and send before and behind."""
        self.command('AT+CIPMUX=1')
        sessions = [self.connect(link, self.random.choice(('TCP', 'TLS')), 'host')
                    for link in range(self.random.randrange(1, 4))]
        self.exchange(sessions, until=lambda: self.random.random() < 0.2)
        self.write_one()
        self.exchange(sessions)
        self.finish(sessions)
        self.command('AT+CIPMUX=0')

    def write_one(self):
        """A partition is erased, written in pieces and read back."""
        with self.certificates.one(self.random) as name:
            _, image = self.certificates.image(name, self.random)
            self.erase(name)
            piece = self.random.choice((512, 1024, 2048, flash_image.BYTES))
            for at in range(0, len(image), piece):
                flash_image.write(self.line, name, at, image[at:at + piece])
            self.ledger.count('commands', -(-len(image) // piece))
            self.expect(name, image)
            self.ledger.count('partitions written')

    def erase(self, name):
        """At once, or one block after the other."""
        if self.random.random() < 0.7:
            flash_image.erase(self.line, name)
        else:
            for offset in range(0, flash_image.BYTES, flash_image.BLOCK):
                self.line.command(f'AT+SYSFLASH=0,"{name}",{offset},{flash_image.BLOCK}')
        self.ledger.count('commands')
        self.expect(name, b'')

    def expect(self, name, image):
        self.ledger.count('commands')
        assert flash_image.read(self.line, name) == image.ljust(flash_image.BYTES, b'\xff'), f'{name} has other bytes'

    def update(self):
        """AT+CIUPDATE: by itself, while a link works, or while the host goes and another one comes. A new authority is one to
        connect with."""
        with self.certificates.one(self.random) as name:
            indices, image = self.certificates.image(name, self.random)
            self.certificates.offer(name, plain(image), self.certificates.sign(image))
            self.random.choice((self.update_to_end, self.update_beside, self.update_alone))(name)
            self.expect(name, image)
            if name == 'client_ca':
                self.command(f'AT+CIPSSLCCONF=2,0,{indices[-1]}')
                self.talk_over('TLS')
                self.command('AT+CIPSSLCCONF=2,0,0')
        self.ledger.count('updates')

    def failing_update(self):
        """The old items stay."""
        how = self.random.choice(('signature', 'short', 'no image', 'restart'))
        with self.certificates.one(self.random) as name:
            before = flash_image.read(self.line, name)
            _, image = self.certificates.image(name, self.random)
            half = plain(image[:len(image) // 2], length=len(image))
            self.certificates.offer(name, {
                'signature': plain(image),
                'short': lambda connection: (connection.sendall(half), connection.close()),
                'no image': plain(bytes(len(image))),
                'restart': update_server.silent,
            }[how], self.random.randbytes(64))
            if how == 'restart':
                self.restart_in_update(name)
            else:
                self.update_to_end(name, self.random.choice((STEPS[:1], STEPS[:3])), b'ERROR')
                assert self.command('AT+CIUPDATE?') == [b'+CIUPDATE:-1']
            self.expect(name, before)
        self.ledger.count(f'updates that failed by {how}')

    def update_beside(self, name):
        """One that does not block."""
        self.command(f'AT+CIUPDATE=0,"v1","{name}",1')
        self.talk_over('TCP')
        self.line.until(lambda: len(self.line.steps) == 2, 'the end of the update')
        assert self.line.steps == [STEPS[0], STEPS[-1]], f'{name}: the steps were {self.line.steps}'

    def update_alone(self, name):
        self.command(f'AT+CIUPDATE=0,"v1","{name}",1')
        self.line.close()
        self.open()
        # What the modem just says may be half of something: the host who was there before has read the rest.
        self.line.quiet(0.1)
        self.ledger.count('host programs that left')
        self.line.poll('AT+CIUPDATE?', b'+CIUPDATE:4', PATIENCE_S)

    def update_to_end(self, name, steps=STEPS, end=b'OK'):
        """One that blocks, and must take these steps. The version is asked for when the second of them is there."""
        self.ledger.count('commands')
        version = '' if 2 in steps else '"v1"'
        answer = self.line.ask(f'AT+CIUPDATE=0,{version},"{name}"', PATIENCE_S)
        assert answer == [b'+CIPUPDATE:%d' % step for step in steps] + [end], answer

    def restart_in_update(self, name):
        self.line.write(b'AT+CIUPDATE=0,"v1","%s"\r\n' % name.encode())
        self.line.wait_for(b'+CIPUPDATE:1', timeout=PATIENCE_S)
        self.line.write(b'AT+RST\r\n')
        self.line.wait_for(b'ready')
        self.ledger.count('restarts')
        self.set_up()
        assert self.command('AT+CIUPDATE?') == [b'+CIUPDATE:0']

    def talk_over(self, kind):
        """One link, from its beginning to its end."""
        session = self.connect(None, kind, self.random.choice(('host', 'fin')))
        self.exchange([session])
        self.finish([session])

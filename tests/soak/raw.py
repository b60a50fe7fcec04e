# SPDX-License-Identifier: MIT
"""Scenarios in passthrough, where every byte is data."""

import time

import modem
from host import PATIENCE_S, Host, Session


class Raw(Host):
    def through(self):
        """Passthrough, both ways at once, and +++."""
        kind = self.random.choice(('TCP passthrough', 'TCP passthrough', 'TLS passthrough'))
        peer = self.peer(kind, 'host', self.about.server_context, late=True)
        session = Session(None, kind, peer, 'host')
        self.command('AT+CIPMODE=1')
        self.ledger.count('commands')
        address = self.about.address(2)
        self.line.connect(address, peer.listen(address), kind='SSL' if kind.startswith('TLS') else 'TCP')
        # In between what comes is raw, too, and could not be told from an answer: so the peer has given all by then.
        self.pass_through(session, self.random.randrange(1, session.left + 1), peer.size)
        self.pass_through(session, session.left, peer.size)
        self.command('AT+CIPMODE=0')
        self.finish([session])

    def pass_through(self, session, goal, awaited):
        """Sends so many bytes, and waits until the peer has them and `awaited` bytes have come from it in all."""
        self.ledger.count('commands')
        self.line.enter_passthrough()
        end = time.monotonic() + PATIENCE_S
        while goal > 0 or not session.outward.whole() or session.inward.taken < awaited:
            if time.monotonic() > end:
                raise modem.Late(f'passthrough: {session.peer}')
            # The modem does not say that a link is lost in passthrough: it tries to get it back.
            assert not session.peer.broke_off(), f'the far side ended: {session.peer}'
            if goal > 0:
                count = min(goal, self.random.choice((1000, 4096, 16384)))
                session.left -= count
                goal -= count
                self.line.write(session.outward.give(count), PATIENCE_S)
            else:
                self.line.read(0.02)
            session.inward.take(bytes(self.line.pending))
            self.line.pending.clear()
        session.inward.take(self.line.leave_passthrough())

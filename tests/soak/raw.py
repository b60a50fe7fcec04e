# SPDX-License-Identifier: MIT
"""Scenarios in passthrough, where every byte is data: begun by a command, and from the start by AT+SAVETRANSLINK."""

import time

import modem
import servers
from host import DATAGRAM_MAX, PATIENCE_S, Host, Session

PACKET_MAX = 2048  # of what a host writes, as one datagram
BURST = 4          # packets, or datagrams, on their way at once: UDP promises nothing, and a socket's buffer holds these


def at_type(session):
    return 'SSL' if session.kind.startswith('TLS') else 'TCP'


class Raw(Host):
    def through(self):
        """Both ways at once, and +++."""
        session, address, port = self.far_side(self.random.choice(('TCP passthrough', 'TCP passthrough', 'TLS passthrough')))
        self.command('AT+CIPMODE=1')
        self.ledger.count('commands', 3)
        self.line.connect(address, port, kind=at_type(session))
        # In between what comes is raw, too, and could not be told from an answer: so the peer has given all by then.
        self.line.enter_passthrough()
        self.pass_through(session, self.random.randrange(1, session.left + 1))
        self.leave(session)
        self.line.enter_passthrough()
        self.pass_through(session, session.left)
        self.leave(session)
        self.command('AT+CIPMODE=0')
        self.finish([session])

    def coming_back(self):
        """The far side closes, and the modem gets the link back by itself."""
        kind = self.random.choice(('TCP coming back', 'TLS coming back'))
        # A port that nobody else gets while no peer listens there.
        session, address, port = self.far_side(kind, ending='fin', port=self.listen_port)
        self.command('AT+SYSMSG=5')
        self.command('AT+CIPMODE=1')
        self.ledger.count('commands', 2)
        self.line.connect(address, port, kind=at_type(session))
        self.line.enter_passthrough()
        for turns_left in reversed(range(self.random.randrange(1, 4))):
            self.pass_through(session, session.left)
            self.settle(session)
            session, _, _ = self.far_side(kind, ending='fin' if turns_left else 'host', port=self.listen_port)
            # All bytes before were data, and have come; the next ones are the modem's.
            came = self.line.take_until(b'CONNECT\r\n', PATIENCE_S)
            assert came == b'CLOSED\r\nCONNECT\r\n', f'{came} between two connections'
            self.ledger.count('links that came back')
        self.pass_through(session, session.left)
        self.leave(session)
        self.command('AT+CIPMODE=0')
        self.command('AT+SYSMSG=1')
        self.finish([session])

    def datagrams_through(self):
        _, inward, outward = self.flows('UDP passthrough')
        address = self.about.address(2)
        with servers.udp_socket(address) as peer:
            self.command('AT+CIPMODE=1')
            self.ledger.count('commands', 3)
            self.line.connect_udp(address, peer.getsockname()[1])
            for _ in range(2):
                self.line.enter_passthrough()
                self.pass_datagrams(peer, inward, outward)
            self.command('AT+CIPMODE=0')
            self.command('AT+CIPCLOSE')
        self.settle_datagrams(inward, outward)

    def from_the_start(self):
        """A link that is stored, and is there by itself after a restart, until it is taken back."""
        session, address, port = self.far_side(self.random.choice(('TCP from the start', 'TLS from the start')))
        self.restart_with_link(f'"{address}",{port},"{at_type(session)}"')
        self.pass_through(session, session.left)
        self.leave(session)
        self.take_link_back()
        self.finish([session])
        self.set_up()

    def datagrams_from_the_start(self):
        _, inward, outward = self.flows('UDP from the start')
        address = self.about.address(2)
        with servers.udp_socket(address) as peer:
            self.restart_with_link(f'"{address}",{peer.getsockname()[1]},"UDP"')
            self.pass_datagrams(peer, inward, outward)
            self.take_link_back()
            self.command('AT+CIPCLOSE')
        self.settle_datagrams(inward, outward)
        self.set_up()

    # ---- what they are made of

    def far_side(self, kind, ending='host', port=0):
        """A session whose peer listens, and where. The peer gives nothing before the host is in passthrough."""
        peer = self.peer(kind, ending, self.about.server_context, late=True)
        address = self.about.address(2)
        return Session(None, kind, peer, ending), address, peer.listen(address, port)

    def restart_with_link(self, link):
        """Until it is open. What the host sends before is lost: AT+SYSMSG makes the modem say when that is over."""
        self.command('AT+SYSMSG=5')
        self.command(f'AT+SAVETRANSLINK=1,{link}')
        self.line.write(b'AT+RST\r\n')
        self.line.take_until(b'\r\n>\r\nready\r\n')
        self.line.take_until(b'\r\nCONNECT\r\n')
        self.ledger.count('restarts into passthrough')

    def take_link_back(self):
        self.command('ATE0')
        self.command('AT+SAVETRANSLINK=0')
        self.command('AT+CIPMODE=0')

    def pass_through(self, session, goal):
        """Sends so many bytes, and waits until the peer has them and has given all of its own."""
        end = time.monotonic() + PATIENCE_S
        while goal > 0 or not session.outward.whole() or session.inward.taken < session.peer.size:
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
            self.take_raw(session.inward, session.peer.size)

    def leave(self, session):
        session.inward.take(self.line.leave_passthrough())

    def pass_datagrams(self, peer, inward, outward):
        """Bursts of datagrams, all of which arrive, and leaves passthrough. Where 20 ms of silence end a packet is the
        machine's to say, but none is empty or longer than a packet may be; what comes has no borders for the host."""
        answer_to = None
        for _ in range(self.random.randrange(2, 6)):
            for _ in range(self.random.randrange(0, BURST + 1) if answer_to else 0):
                peer.sendto(inward.give(self.random.randrange(1, DATAGRAM_MAX + 1)), answer_to)
                self.ledger.count('datagrams')
            size = self.random.choice((self.random.randrange(1, BURST * PACKET_MAX + 1), PACKET_MAX, BURST * PACKET_MAX))
            self.line.write(outward.give(size), PATIENCE_S)
            while not outward.whole():
                came, answer_to = peer.recvfrom(65536)
                assert 0 < len(came) <= PACKET_MAX, f'{outward}: a datagram of {len(came)} bytes'
                outward.take(came)
                self.ledger.count('datagrams')
            end = time.monotonic() + PATIENCE_S
            self.take_raw(inward, inward.given)
            while not inward.whole():
                if time.monotonic() > end:
                    raise modem.Late(f'passthrough: {inward}')
                self.line.read(0.05)
                self.take_raw(inward, inward.given)
        inward.take(self.line.leave_passthrough())

    def take_raw(self, inward, all_of_it):
        """What came, up to so many bytes in all."""
        part = bytes(self.line.pending[:all_of_it - inward.taken])
        del self.line.pending[:len(part)]
        inward.take(part)

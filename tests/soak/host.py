# SPDX-License-Identifier: MIT
"""One host program of the soak: its line, its links, and how it sends and receives. What it does with them are the
scenarios of those that derive from it; each begins and ends at rest, without a link, and is bounded in bytes and in time."""

import collections
import re
import time

import modem
from far_side import Peer
from ledger import IN, OUT, Flow, Wrong

PATIENCE_S = 60     # of a scenario's whole exchange; the machine may be busy with other things
WINDOW = 5760
SIZE_MAX = 2048     # of one AT+CIPSEND
DATAGRAM_MAX = 1472
CLOSED = re.compile(rb'(?:(\d),)?CLOSED')
CONNECTED = re.compile(rb'(\d),CONNECT')
STEP = re.compile(rb'\+CIPUPDATE:(-?\d+)')
CUT = ('reset', 'drop', 'wifi', 'restart', 'leave')


class Line(modem.Modem):
    """A modem's line that knows which links have opened and ended, and how far an update is, whatever record that stood
    among."""

    def __init__(self, *args):
        super().__init__(*args)
        self.closed, self.connected, self.steps = set(), [], []  # steps: of an update
        self.log = collections.deque(maxlen=60)

    def _next(self, but=()):
        line = super()._next(but)
        if line is not None:
            self.log.append(b'< ' + line[:100])
            end, opened, step = CLOSED.fullmatch(line), CONNECTED.fullmatch(line), STEP.fullmatch(line)
            if end:
                self.closed.add(int(end[1] or 0))
            if opened:
                self.connected.append(int(opened[1]))
            if step:
                self.steps.append(int(step[1]))
        return line

    def write(self, data, timeout=modem.DEADLINE_S, listen=True):
        self.log.append(b'> ' + bytes(data[:60]))
        super().write(data, timeout, listen)

    def until(self, condition, what, timeout=PATIENCE_S):
        """Takes what comes until the condition holds."""
        end = time.monotonic() + timeout
        while True:
            self._lines.clear()
            while self._next() is not None:
                pass
            if condition():
                return
            left = end - time.monotonic()
            if left <= 0 or self.at_end:
                raise modem.Late(f'{what}: not within {timeout} s')
            self.read(min(left, 0.05))

    def forget_payload(self):
        """What came is of no meaning any more: the record that it belonged to was cut."""
        self.pending.clear()
        self._lines.clear()
        self._payload = None


class Session:
    """One link of an exchange."""

    def __init__(self, link, kind, peer, ending):
        self.link, self.kind, self.peer, self.ending = link, kind, peer, ending
        self.number = link or 0
        self.inward, self.outward = peer.inward, peer.outward
        self.left = peer.taking  # what the host has still to send
        self.alive = True

    def cut(self):
        return self.ending in CUT

    def done(self):
        return not self.alive or (self.left == 0 and self.inward.taken == self.peer.size)


class Host:
    """`way` opens the modem's line. `about` has what all hosts share, `certificates` are those of its process."""

    def __init__(self, name, way, about, certificates, rng):
        self.name, self.way, self.about, self.certificates, self.random = name, way, about, certificates, rng
        self.ledger = about.ledger
        self.listen_port = about.port()  # of the server of the modem, and of a far side that comes back
        self.links, self.peers = 0, []  # the peers of this scenario
        self.doing, self.kept = 'start', None  # what AT+CWRECONNCFG has stored
        self.line = None
        self.scenarios = {}  # each by how often it shall be

    # ---- the line

    def open(self):
        reader = self.way()
        self.line = Line(reader.reading, reader.writing, reader.close)
        self.line.pending += reader.pending
        self.quieten()

    def close(self):
        if self.line:
            self.line.close()

    def quieten(self):
        """No link is open: what comes as a payload is wrong."""
        def stray(part):
            raise AssertionError(f'{len(part)} bytes of a link that is closed')
        self.line.sinks = dict.fromkeys(range(5), stray)
        self.line.heads = {}
        self.line.closed.clear()
        self.line.connected.clear()
        self.line.steps.clear()
        self.line._lines.clear()

    def command(self, text):
        self.ledger.count('commands')
        return self.line.command(text)

    def set_up(self):
        self.line.prepare()
        self.command('AT+SYSMSG=1')
        self.command('AT+CIPDNS=1,"127.0.0.1"')
        self.line._lines.clear()

    def tour(self):
        """Every scenario once."""
        scenarios = list(self.scenarios)
        self.random.shuffle(scenarios)
        for scenario in scenarios:
            yield lambda scenario=scenario: self.play(scenario)

    def turn(self):
        self.play(self.random.choices(list(self.scenarios), list(self.scenarios.values()))[0])

    def play(self, scenario):
        self.doing = scenario.__name__
        self.peers.clear()
        self.line.portion = self.random.choice(9 * (65536,) + (700,))  # some read in small pieces
        scenario()
        self.quieten()
        self.ledger.count('scenarios')

    # ---- links

    def flows(self, kind):
        """Those of a new link, to the host and from it, behind a key of its own."""
        self.links += 1
        key = f'{self.about.seed}/{self.name}/{self.links}'
        return key, Flow(f'{key}/in', kind, IN), Flow(f'{key}/out', kind, OUT)

    def peer(self, kind, ending, context, late=False):
        """`context` is for TLS. One that resets the link does so when the host has sent something: it was open by then."""
        key, inward, outward = self.flows(kind)
        size, taking = self.amount(), self.amount()
        cut_at = self.random.randrange(1, size + taking + 1)
        self.peers.append(Peer(key, inward, outward, size, taking,
                               ending=ending if ending in ('fin', 'reset') else 'host', cut_at=cut_at,
                               stalls=self.random.random() < 0.1, late=late or ending == 'reset',
                               context=context if kind.startswith('TLS') else None))
        return self.peers[-1]

    def amount(self):
        """Mostly little, sometimes more than all buffers hold."""
        return self.random.randrange(1, self.random.choice((64, 2049, 8193, 30001, 30001, self.about.most)))

    def connect(self, link, kind, ending):
        peer = self.peer(kind, ending, self.about.server_context)
        session = Session(link, kind, peer, ending)
        self.line.sinks[session.number] = session.inward.take
        plain, named = self.about.address(2), self.about.address(7)
        host, address = self.random.choice(((plain, plain), ('7.soak.test', named)))
        self.ledger.count('commands')
        try:
            self.line.connect(host, peer.listen(address), link, 'SSL' if kind.startswith('TLS') else 'TCP')
        except AssertionError:
            peer.give_up()
            raise
        return session

    def taken_in(self, link, kind, ending):
        """A client of the modem's server."""
        peer = self.peer(kind, ending, self.about.client_context)
        session = Session(link, kind, peer, ending)
        self.line.sinks[link] = session.inward.take
        peer.connect(self.about.address(1), self.listen_port)
        self.line.until(lambda: link in self.line.connected, f'{link},CONNECT')
        return session

    # ---- sending and receiving

    def send(self, session):
        """One AT+CIPSEND. False: the link has ended."""
        count = min(session.left, self.random.randrange(1, self.random.choice((64, SIZE_MAX + 1))) if
                    self.random.random() < 0.7 else SIZE_MAX)
        escaped = self.random.random() < 0.1
        link = '' if session.link is None else f'{session.link},'
        self.ledger.count('commands')
        self.line.write(f'AT+CIPSEND{"EX" if escaped else ""}={link}{count}\r\n'.encode())
        answer = self.line.wait_for(b'>', b'ERROR')
        if answer[-1] == b'>':
            data = session.outward.give(count)
            self.line.write(data.replace(b'\\', b'\\\\') if escaped else data, PATIENCE_S)
            answer = self.line.wait_for(b'SEND OK', b'SEND FAIL', b'ERROR', timeout=PATIENCE_S)
        if answer[-1] == b'SEND OK':
            session.left -= count
            return True
        if session.ending != 'reset':
            raise modem.Refused(f'AT+CIPSEND on a link that nobody cut: {answer}')
        return False

    def fetch(self, sessions):
        """Passive receive: one AT+CIPRECVDATA for each link that has something."""
        answer = self.command('AT+CIPRECVLEN?')
        lengths = next(line for line in answer if line.startswith(b'+CIPRECVLEN:'))
        lengths = [int(text) for text in lengths.partition(b':')[2].split(b',')]
        found = False
        for session in sessions:
            if lengths[session.number] > 0:
                self.ledger.count('commands')
                data = self.line.read_passive(self.random.randrange(1, WINDOW + 100), session.link)
                session.inward.take(data)
                found = True
        self.line._lines.clear()
        return found

    def exchange(self, sessions, passive=False, until=lambda: False):
        """Both ways at once, until all is through or a link was cut, or `until` says so."""
        end = time.monotonic() + PATIENCE_S
        while not all(session.done() for session in sessions) and not until():
            if time.monotonic() > end:
                raise modem.Late('an exchange: ' + '; '.join(f'{s.inward}, {s.outward}, {s.ending}' for s in sessions))
            for session in sessions:
                assert not (session.alive and session.peer.broke_off()), f'the far side ended: {session.peer}'
                if session.ending == 'reset' and session.number in self.line.closed:
                    session.alive = False
                if session.ending == 'drop' and session.alive and \
                        session.inward.taken + session.outward.given >= session.peer.cut_at:
                    self.hang_up(session)
                    session.alive = False
            senders = [session for session in sessions if session.alive and session.left > 0]
            if senders:
                session = self.random.choice(senders)
                if not self.send(session):
                    self.wait_closed(session)
                    session.alive = False
            if passive and self.fetch([session for session in sessions if session.alive]):
                continue
            if not senders:
                self.wait_a_little()

    def wait_a_little(self):
        """Takes records until something happens, at most 50 ms."""
        self.line._lines.clear()
        while self.line._next() is not None:
            pass
        self.line.read(0.05)
        while self.line._next() is not None:
            pass

    def hang_up(self, session):
        self.command('AT+CIPCLOSE' if session.link is None else f'AT+CIPCLOSE={session.link}')

    def wait_closed(self, session):
        self.line.until(lambda: session.number in self.line.closed, f'CLOSED of {session.number}')

    def finish(self, sessions):
        """Each link ends as was meant, and its account is closed."""
        for session in sessions:
            if session.alive and session.ending in ('host', 'drop'):
                self.hang_up(session)
            else:
                self.wait_closed(session)
            self.settle(session)

    def settle(self, session):
        peer = session.peer
        if not peer.ended.wait(PATIENCE_S):
            raise modem.Late(f'the peer still waits: {session.inward}, {session.outward}, {session.ending}')
        # Who is cut off may complain, but not of a wrong byte.
        if peer.error and (isinstance(peer.error, Wrong) or not session.cut()):
            raise AssertionError(f'{session.ending}: {peer.error!r}') from peer.error
        self.ledger.close(session.inward, session.cut())
        self.ledger.close(session.outward, session.cut())
        self.ledger.count('links')
        self.ledger.count(f'links ended by {session.ending}')

    def settle_datagrams(self, inward, outward):
        self.ledger.close(inward, cut=False)
        self.ledger.close(outward, cut=False)
        self.ledger.count('links')

    def ending(self, passive=False):
        # In passive receive the host is not told what a link that was cut has left for it.
        return self.random.choices(('host', 'fin', 'drop') if passive else ('host', 'fin', 'drop', 'reset'),
                                   (4, 4, 1) if passive else (4, 4, 1, 1))[0]

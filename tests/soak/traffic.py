# SPDX-License-Identifier: MIT
"""One host program of the soak, and all that it does with its modem: scenarios that begin and end at rest, without a
link. Every one is bounded, in bytes and in time."""

import collections
import re
import socket
import time

import modem
import servers
from far_side import Peer
from ledger import IN, OUT, Flow, Wrong

PATIENCE_S = 60     # of a scenario's whole exchange; the machine may be busy with other things
WINDOW = 5760
SIZE_MAX = 2048     # of one AT+CIPSEND
DATAGRAM_MAX = 1472
CLOSED = re.compile(rb'(?:(\d),)?CLOSED')
CONNECTED = re.compile(rb'(\d),CONNECT')
CUT = ('reset', 'drop', 'wifi', 'restart', 'leave')


class Line(modem.Modem):
    """A modem's line that knows which links have opened and ended, whatever record that stood among."""

    def __init__(self, *args):
        super().__init__(*args)
        self.closed, self.connected = set(), []
        self.log = collections.deque(maxlen=60)

    def _next(self):
        line = super()._next()
        if line is not None:
            self.log.append(b'< ' + line[:100])
            end, opened = CLOSED.fullmatch(line), CONNECTED.fullmatch(line)
            if end:
                self.closed.add(int(end[1] or 0))
            if opened:
                self.connected.append(int(opened[1]))
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
    """`way` opens the modem's line. `about` has what all hosts share."""

    def __init__(self, name, way, about, rng):
        self.name, self.way, self.about, self.random = name, way, about, rng
        self.ledger = about.ledger
        self.listen_port = about.port()
        self.links, self.peers = 0, []  # the peers of this scenario
        self.doing, self.kept = 'start', None  # what AT+CWRECONNCFG has stored
        self.line = None
        # Each by how often it shall be.
        self.scenarios = {
            self.single_link: 6, self.several_links: 6, self.passive: 4, self.server: 5, self.through: 4,
            self.datagrams: 5, self.tls: 3, self.tls_server: 1, self.lost_station: 1, self.restart: 1,
            self.host_leaves: 2, self.names: 3, self.clock: 1, self.ping: 1, self.stored: 2, self.talk: 3,
            self.refused: 2,
        }

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

    def peer(self, kind, ending, context, late=False):
        """`context` is for TLS. One that resets the link does so when the host has sent something: it was open by then."""
        self.links += 1
        key = f'{self.about.seed}/{self.name}/{self.links}'
        size, taking = self.amount(), self.amount()
        cut_at = self.random.randrange(1, size + taking + 1)
        self.peers.append(Peer(key, Flow(f'{key}/in', kind, IN), Flow(f'{key}/out', kind, OUT), size, taking,
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

    def ending(self, passive=False):
        # In passive receive the host is not told what a link that was cut has left for it.
        return self.random.choices(('host', 'fin', 'drop') if passive else ('host', 'fin', 'drop', 'reset'),
                                   (4, 4, 1) if passive else (4, 4, 1, 1))[0]

    # ---- scenarios with links

    def single_link(self, kind='TCP', passive=False):
        if passive:
            self.command('AT+CIPRECVMODE=1')
        sessions = [self.connect(None, kind, self.ending(passive))]
        self.exchange(sessions, passive)
        self.finish(sessions)
        if passive:
            self.command('AT+CIPRECVMODE=0')

    def several_links(self, kinds=('TCP', 'TCP', 'TCP', 'TLS'), count=None, passive=False):
        self.command('AT+CIPMUX=1')
        if passive:
            self.command('AT+CIPRECVMODE=1')
        count = count or self.random.randrange(2, 6)
        sessions = [self.connect(link, self.random.choice(kinds), self.ending(passive)) for link in range(count)]
        self.exchange(sessions, passive)
        self.finish(sessions)
        if passive:
            self.command('AT+CIPRECVMODE=0')
        self.command('AT+CIPMUX=0')

    def passive(self):
        if self.random.random() < 0.5:
            self.single_link('TCP passive', passive=True)
        else:
            self.several_links(('TCP passive', 'TCP passive', 'TLS passive'), passive=True)

    def tls(self):
        if self.random.random() < 0.7:
            self.single_link('TLS')
        else:
            self.several_links(('TLS',))

    def server(self, kind='TCP server'):
        self.command('AT+CIPMUX=1')
        ssl = ',"SSL",0' if kind.startswith('TLS') else ''
        self.command(f'AT+CIPSERVER=1,{self.listen_port}{ssl}')
        for _ in range(self.random.randrange(1, 4)):
            sessions = [self.taken_in(link, kind, self.ending()) for link in range(self.random.randrange(1, 6))]
            self.exchange(sessions)
            self.finish(sessions)
            self.line.closed.clear()
            self.line.connected.clear()
        self.command('AT+CIPSERVER=0')
        self.command('AT+CIPMUX=0')

    def tls_server(self):
        self.server('TLS server')

    def cut_short(self, ending):
        """Links that work, until about half is through."""
        self.command('AT+CIPMUX=1')
        sessions = [self.connect(link, self.random.choice(('TCP', 'TCP', 'TLS')), ending)
                    for link in range(self.random.randrange(1, 4))]
        enough = sum(session.peer.cut_at for session in sessions) // 2
        self.exchange(sessions, until=lambda: sum(s.inward.taken + s.outward.given for s in sessions) >= enough)
        return sessions

    def lost_station(self):
        """Leaves the access point with links open."""
        sessions = self.cut_short('wifi')
        self.command('AT+CWQAP')
        self.line.until(lambda: all(session.number in self.line.closed for session in sessions), 'CLOSED')
        for session in sessions:
            self.settle(session)
        self.command('AT+CWJAP="net","password"')
        self.command('AT+CIPMUX=0')

    def restart(self):
        """AT+RST with links open; what is stored is there again."""
        sessions = self.cut_short('restart')
        self.line.write(b'AT+RST\r\n')
        self.line.take_until(b'\r\nready\r\n')  # a payload that was on its way has no end
        self.line.forget_payload()
        self.ledger.count('restarts')
        for session in sessions:
            self.settle(session)
        self.set_up()
        self.line.poll('AT+CWSTATE?', b'+CWSTATE:2,"net"')
        if self.kept:
            answer = self.command('AT+CWRECONNCFG?')
            assert self.kept in answer, f'{answer} after the restart, not {self.kept}'

    def host_leaves(self):
        """The host program goes away in the middle of what comes, and another one comes. What was sent arrives; what came
        while nobody was there is gone, as on a wire."""
        sessions = self.cut_short('leave')
        self.line.close()
        time.sleep(self.random.choice((0, 0.001, 0.02, 0.2)))  # this is the test: nobody is there for so long
        self.open()
        self.line.sinks = dict.fromkeys(range(5), lambda part: None)
        self.line.quiet(0.4)
        self.line.forget_payload()
        self.ledger.count('host programs that left')
        self.command('AT')
        end = time.monotonic() + PATIENCE_S
        for session in sessions:
            while not (session.outward.whole() and session.peer.given_all()):
                assert time.monotonic() < end, f'{session.outward}, {session.inward}: not through'
                self.wait_a_little()
        self.command('AT+CIPCLOSE=5')
        for session in sessions:
            self.settle(session)
            if not session.outward.whole():
                raise AssertionError(f'{session.outward}: lost')
        self.command('AT+CIPMUX=0')

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

    def datagrams(self):
        """Each has its place in the account: none is lost, none comes twice, and its borders stay."""
        mux = self.random.random() < 0.5
        link = self.random.randrange(5) if mux else None
        if mux:
            self.command('AT+CIPMUX=1')
        self.links += 1
        key = f'{self.about.seed}/{self.name}/{self.links}'
        inward, outward = Flow(f'{key}/in', 'UDP', IN), Flow(f'{key}/out', 'UDP', OUT)
        sizes = collections.deque()

        def head(match):
            expected = sizes.popleft()
            assert int(match[2]) == expected, f'{inward}: a datagram of {int(match[2])} bytes, not {expected}'

        address = self.about.address(2)
        with servers.udp_socket(address) as peer:
            self.line.sinks[link or 0], self.line.heads[link or 0] = inward.take, head
            self.line.connect_udp(address, peer.getsockname()[1], link=link)
            answer_to = None
            for _ in range(self.random.randrange(2, 12)):
                for _ in range(self.random.randrange(0, 9) if answer_to else 0):
                    size = self.random.randrange(1, DATAGRAM_MAX + 1)
                    sizes.append(size)
                    peer.sendto(inward.give(size), answer_to)
                    self.ledger.count('datagrams')
                for _ in range(self.random.randrange(1, 5)):
                    data = outward.give(self.random.randrange(1, SIZE_MAX + 1))
                    self.ledger.count('commands')
                    self.ledger.count('datagrams')
                    self.line.send(data, link)
                    came, answer_to = peer.recvfrom(65536)
                    assert len(came) == len(data), f'{outward}: a datagram of {len(came)} bytes, not {len(data)}'
                    outward.take(came)
                self.line.until(inward.whole, 'datagrams')
            self.command('AT+CIPCLOSE' if link is None else f'AT+CIPCLOSE={link}')
        self.ledger.close(inward, cut=False)
        self.ledger.close(outward, cut=False)
        self.ledger.count('links')
        if mux:
            self.command('AT+CIPMUX=0')

    # ---- scenarios without links

    def names(self):
        for _ in range(self.random.randrange(1, 10)):
            number = self.random.randrange(1, 255)
            assert self.command(f'AT+CIPDOMAIN="{number}.soak.test"') == \
                [f'+CIPDOMAIN:"{self.about.address(number)}"'.encode()]
        self.line.refused('AT+CIPDOMAIN="nobody.test"')
        self.ledger.count('names', 2)

    def clock(self):
        self.command('AT+CIPSNTPCFG=1,0,"127.0.0.1"')
        end = time.monotonic() + PATIENCE_S
        while int(self.command('AT+SYSTIMESTAMP?')[0].partition(b':')[2]) < 1e9:
            assert time.monotonic() < end, 'the clock is not set'
            time.sleep(0.05)
        self.command('AT+CIPSNTPCFG=0,0')

    def ping(self):
        if not self.about.may_ping:
            return
        for _ in range(3):
            answer = self.line.ask('AT+PING="127.0.0.1"')
            # A machine that is busy with other things may let the second pass that an answer has.
            late = answer == [b'+PING:TIMEOUT', b'ERROR']
            assert late or re.fullmatch(rb'\+PING:\d+', answer[0]) and answer[1:] == [b'OK'], answer
            self.ledger.count('pings that came late' if late else 'pings')

    def stored(self):
        """Settings that are on the disk when OK comes; a restart of the modem looks whether they are."""
        count = self.random.randrange(1, 1001)
        self.command(f'AT+CWRECONNCFG=1,{count}')  # the interval is also one of AT+CWJAP, whose default is 1
        self.kept = b'+CWRECONNCFG:1,%d' % count
        self.command(f'AT+CIPSSLCCONF={self.random.choice((0, 2))},0,0')
        self.command('AT+CWMODE=3')
        self.command(f'AT+CWSAP="soak","{self.random.randrange(10 ** 8, 10 ** 9)}",{self.random.randrange(1, 14)},3')
        self.command('AT+CWMODE=1')
        self.ledger.count('settings stored', 5)

    def talk(self):
        for text in self.random.choices(('AT', 'AT+GMR', 'AT+CMD?', 'AT+CIFSR', 'AT+CIPSTATUS', 'AT+CWLAP', 'AT+CWJAP?',
                                         'AT+CIPSTA?', 'AT+SYSRAM?', 'ATE1', 'ATE0'), k=10):
            self.command(text)
        self.command('ATE0')
        for text in ('AT+', 'AT+NOTHING=1', 'AT+CIPSEND=5', 'AT+CIPSTART="TCP","127.0.0.1",70000',
                     'AT+CIPMUX=' + '9' * 300):
            self.line.refused(text)
        self.ledger.count('commands', 5)

    def refused(self):
        """Nobody is there."""
        with socket.socket() as nobody:
            nobody.bind((self.about.address(2), 0))  # and nobody else will be, as long as it is ours
            self.line.refused('AT+CIPSTART="TCP","%s",%d' % nobody.getsockname())
        self.line.until(lambda: 0 in self.line.closed, 'CLOSED')
        self.line.refused('AT+CIPSTART="TCP","nobody.test",80')
        self.command('AT')  # behind a CLOSED, if there is one
        self.ledger.count('connects that were refused', 2)

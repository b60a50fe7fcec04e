# SPDX-License-Identifier: MIT
"""Scenarios with links that are not raw: of all types, in both ways of receiving, and cut off in every way."""

import collections
import time

import servers
from host import DATAGRAM_MAX, PATIENCE_S, SIZE_MAX, Host


class Linked(Host):
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

    def tls_passive(self):
        if self.random.random() < 0.7:
            self.single_link('TLS passive', passive=True)
        else:
            self.several_links(('TLS passive',), passive=True)

    def tls(self):
        if self.random.random() < 0.7:
            self.single_link('TLS')
        else:
            self.several_links(('TLS',))

    def server(self, kind='TCP server', passive=False):
        self.command('AT+CIPMUX=1')
        if passive:
            self.command('AT+CIPRECVMODE=1')
        ssl = ',"SSL",0' if kind.startswith('TLS') else ''
        self.command(f'AT+CIPSERVER=1,{self.listen_port}{ssl}')
        for _ in range(self.random.randrange(1, 4)):
            sessions = [self.taken_in(link, kind, self.ending(passive))
                        for link in range(self.random.randrange(1, 6))]
            self.exchange(sessions, passive)
            self.finish(sessions)
            self.line.closed.clear()
            self.line.connected.clear()
        self.command('AT+CIPSERVER=0')
        if passive:
            self.command('AT+CIPRECVMODE=0')
        self.command('AT+CIPMUX=0')

    def tls_server(self):
        self.server('TLS server')

    def passive_server(self):
        self.server(self.random.choice(('TCP passive server', 'TLS passive server')), passive=True)

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

    def datagrams(self):
        """Each has its place in the account: none is lost, none comes twice, and its borders stay."""
        mux = self.random.random() < 0.5
        link = self.random.randrange(5) if mux else None
        if mux:
            self.command('AT+CIPMUX=1')
        _, inward, outward = self.flows('UDP')
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
        self.settle_datagrams(inward, outward)
        if mux:
            self.command('AT+CIPMUX=0')

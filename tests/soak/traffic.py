# SPDX-License-Identifier: MIT
"""All that a host program of the soak does with its modem, and how often."""

import re
import socket
import time

from host import PATIENCE_S
from linked import Linked
from partitions import Partitions
from raw import Raw


class Traffic(Linked, Raw, Partitions):
    def __init__(self, *args):
        super().__init__(*args)
        self.scenarios = {
            self.single_link: 6, self.several_links: 6, self.passive: 4, self.server: 5, self.datagrams: 5,
            self.tls: 3, self.tls_passive: 1, self.tls_server: 1, self.passive_server: 2,
            self.through: 4, self.coming_back: 2, self.datagrams_through: 2, self.from_the_start: 2,
            self.datagrams_from_the_start: 1,
            self.lost_station: 1, self.restart: 1, self.host_leaves: 2,
            self.names: 3, self.clock: 1, self.ping: 1, self.stored: 2, self.talk: 3, self.refused: 2,
            self.provision: 1, self.provision_under_load: 2,
            self.update: 0.5, self.failing_update: 0.5,  # each starts a process
        }

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

# SPDX-License-Identifier: MIT
"""The network's side of the soak: one connection for each link, and the servers of names and of time."""

import collections
import contextlib
import random
import select
import socket
import ssl
import struct
import threading
import time

import servers

LIMIT_S = 90       # of one connection
ACCEPT_S = 30
PIECES = (1, 7, 100, 536, 1460, 4096, 16384)
NTP_1970 = 2208988800


class Peer:
    """One end of one connection, in a thread: gives its stream, and checks what it takes.

    ending   'host'   waits until the modem closes
             'fin'    closes when both streams are through
             'reset'  is cut off by RST after `cut_at` bytes in all
    late     gives nothing before the first byte came
    stalls   takes and gives nothing for a while, once"""

    def __init__(self, seed, inward, outward, size, taking, ending='host', cut_at=0, late=False, stalls=False,
                 context=None):
        self.inward, self.outward = inward, outward  # flows: to the host, and from it
        self.size, self.taking = size, taking        # bytes that it gives, and that it will get
        self.ending, self.cut_at, self.late, self.stall_at = ending, cut_at, late, -1
        self.random = random.Random(seed)
        if stalls:
            self.stall_at = self.random.randrange(size + taking + 1)
        self.context = context
        self.error = None
        self.port, self.story = 0, 'nobody came'
        self.ended = threading.Event()
        self._listener = self._piece = None
        self._go_on_at = self._deaf_until = 0.0

    def listen(self, address, port=0):
        """For one connection: the first one is taken for the modem's. The port; one that is given may have been another
        peer's just now."""
        self._listener = socket.socket()
        if port:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.stall_at >= 0:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self._listener.bind((address, port))
        self._listener.listen(1)
        self._listener.settimeout(ACCEPT_S)
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self.port

    def connect(self, address, port):
        self.port = port
        self._start(lambda: self._connect(address, port))

    def give_up(self):
        """The link was never opened."""
        if self._listener:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)

    def given_all(self):
        return self.inward.given == self.size and not self._piece

    def broke_off(self):
        """It ended before the modem closed, and was not to."""
        return self.ending == 'host' and self.ended.is_set()

    def __str__(self):
        return f'{self.inward}; {self.outward}; port {self.port}: {self.story}'

    def _start(self, begin):
        threading.Thread(target=self._run, args=(begin,), daemon=True).start()

    def _accept(self):
        with self._listener:
            connection, _ = self._listener.accept()
        connection.settimeout(ACCEPT_S)
        self._meet(connection)
        return self.context.wrap_socket(connection, server_side=True) if self.context else connection

    def _connect(self, address, port):
        # The server of a modem stops listening for a moment when a client comes.
        end = time.monotonic() + ACCEPT_S
        while True:
            try:
                connection = socket.create_connection((address, port), ACCEPT_S)
                self._meet(connection)
                return self.context.wrap_socket(connection, server_hostname='localhost') if self.context else connection
            except (ConnectionRefusedError, ConnectionResetError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)

    def _meet(self, connection):
        with contextlib.suppress(OSError):  # it may have gone already
            self.story = '{}:{} with {}:{}'.format(*connection.getsockname(), *connection.getpeername())

    def _run(self, begin):
        try:
            with begin() as connection:
                connection.setblocking(False)
                self._talk(connection)
            self.story += ', over'
        except Exception as error:
            self.story += f', {error!r}'
            # A reset is how a link may end that somebody cut; what is missing then shows in the account.
            if not isinstance(error, ConnectionError):
                self.error = error
        self.ended.set()

    def _through(self):
        return self.given_all() and self.outward.taken >= self.taking

    def _pausing(self, now):
        """It stalls, or waits for the rest of a pause between two pieces."""
        if 0 <= self.stall_at <= self.inward.given + self.outward.taken:
            self.stall_at = -1
            self._go_on_at = now + self.random.uniform(0.2, 1)
            self._deaf_until = self._go_on_at
        return now < self._go_on_at

    def _talk(self, connection):
        poll = select.poll()
        end = time.monotonic() + LIMIT_S
        while True:
            now = time.monotonic()
            if now > end:
                raise TimeoutError(f'a connection of {LIMIT_S} s: {self.inward}; {self.outward}, {self.ending}')
            if self.ending == 'fin' and self._through():
                if self.context:
                    connection.settimeout(10)
                    with contextlib.suppress(OSError):
                        connection.unwrap()
                return
            if self.ending == 'reset' and self.inward.given + self.outward.taken >= self.cut_at:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                return
            pausing = self._pausing(now)
            deaf = now < self._deaf_until
            begun = not self.late or self.outward.taken > 0
            giving = begun and not pausing and not self.given_all()
            poll.register(connection, (0 if deaf else select.POLLIN) | (select.POLLOUT if giving else 0))
            events = poll.poll(1000 * max(self._go_on_at - now, 0.001) if pausing else 1000)
            for _, event in events:
                if not deaf and event & (select.POLLIN | select.POLLHUP | select.POLLERR) and not self._take(connection):
                    return
                if event & select.POLLOUT and giving:
                    self._give(connection)

    def _take(self, connection):
        """All that is there. False: the other side has closed."""
        while True:
            try:
                piece = connection.recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError):
                return True
            except ssl.SSLError as error:
                raise ConnectionResetError(str(error)) from error
            if not piece:
                return False
            self.outward.take(piece)
            if not self.context:
                return True

    def _give(self, connection):
        if not self._piece:
            self._piece = self.inward.give(min(self.random.choice(PIECES), self.size - self.inward.given))
        try:
            sent = connection.send(self._piece)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return
        except ssl.SSLError as error:
            raise ConnectionResetError(str(error)) from error
        self._piece = self._piece[sent:]
        if not self._piece and self.random.random() < 0.3:
            self._go_on_at = time.monotonic() + self.random.uniform(0, 0.02)


def _name_answer(question, net):
    """<n>.soak.test is <net>.<n>; nothing else is anything."""
    at, labels = 12, []
    while question[at]:
        labels.append(question[at + 1:at + 1 + question[at]].decode())
        at += 1 + question[at]
    asked = question[12:at + 5]
    known = labels[1:] == ['soak', 'test'] and labels[0].isdigit() and question[at + 1:at + 3] == b'\0\1'
    record = b'\xc0\x0c' + struct.pack('>HHIH', 1, 1, 1, 4) + socket.inet_aton(f'{net}.{labels[0]}') if known else b''
    code = 0 if known or labels[1:] == ['soak', 'test'] else 3
    return question[:2] + struct.pack('>HHHHH', 0x8180 | code, 1, int(known), 0, 0) + asked + record


def _time_answer(request):
    stamp = struct.pack('>II', (int(time.time()) + NTP_1970) % (1 << 32), 0)
    return bytes([4 << 3 | 4, 2, 6, 0xec]) + bytes(12) + stamp + request[40:48] + stamp + stamp


def _serve(answer):
    server = servers.UdpServer(lambda message, _: [answer(message)])
    server.asked = collections.deque(maxlen=1)  # nobody looks at them here, and an hour is long
    return server


def name_server(net):
    return _serve(lambda question: _name_answer(question, net))


def time_server():
    return _serve(_time_answer)

# SPDX-License-Identifier: MIT
"""The host's side of a modem: opens the port, writes, and waits for what must come, always with a deadline."""

import os
import re
import select
import socket
import time

import serial

IPD = re.compile(rb'(?:\r\n)?\+IPD,(?:(\d),)?(\d+)(?:,"([^"]*)",(\d+))?:')
# What may still become the head of a +IPD.
IPD_BEGUN = re.compile(rb'(?:\r|\r\n)?(?:\+(?:I(?:P(?:D[^:\r]*)?)?)?)?\Z')
RECVDATA = re.compile(rb'(?:\r\n)?\+CIPRECVDATA:(\d+),')
RECVDATA_BEGUN = re.compile(rb'(?:\r|\r\n)?(?:\+C[A-Z]*:?\d*)?\Z')
SYSFLASH = re.compile(rb'(?:\r\n)?\+SYSFLASH:(\d+),')
SYSFLASH_BEGUN = re.compile(rb'(?:\r|\r\n)?(?:\+S[A-Z]*:?\d*)?\Z')
# A daemon that is slowed down, by valgrind say, has so many times the time.
SLOWER = int(os.environ.get('ESPAT_SLOWER', '1'))
DEADLINE_S = 10 * SLOWER
# Silence around +++, of which the modem wants 20 ms.
GUARD_S = 0.05


class Late(AssertionError):
    """What was waited for did not come in time."""


class Refused(AssertionError):
    """A command was answered ERROR."""


class Port:
    """Bytes to and from one modem. `reading` and `writing` are descriptors that do not block."""

    def __init__(self, reading, writing, close):
        self.reading, self.writing, self._close = reading, writing, close
        self.pending = bytearray()  # came, and nobody has looked at it yet
        self.at_end = False
        self.portion = 65536        # read at once
        self.pause_s = 0.0          # after each read, for a host that reads slowly
        for fd in {reading, writing}:
            os.set_blocking(fd, False)

    def close(self):
        if self._close:
            self._close()
            self._close = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def read(self, timeout):
        """Waits at most `timeout` for bytes and appends them to `pending`. False: none came."""
        if self.at_end or not select.select([self.reading], [], [], max(timeout, 0))[0]:
            return False
        try:
            data = os.read(self.reading, self.portion)
        except BlockingIOError:
            return False
        except (ConnectionResetError, OSError):
            data = b''
        if not data:
            self.at_end = True
            return False
        if self.pause_s:
            time.sleep(self.pause_s)
        self.pending += data
        return True

    def write(self, data, timeout=DEADLINE_S, listen=True):
        """Writes all of it; takes what comes meanwhile, so that neither side waits for the other."""
        end = time.monotonic() + timeout
        view = memoryview(data)
        while view:
            left = end - time.monotonic()
            if left <= 0:
                raise Late(f'{len(view)} of {len(data)} bytes were not taken within {timeout} s')
            readers = [self.reading] if listen and not self.at_end else []
            ready, writable, _ = select.select(readers, [self.writing], [], left)
            if writable:
                try:
                    # One write per command line: the modem sees it as one read.
                    view = view[os.write(self.writing, view):]
                except BlockingIOError:
                    pass
            elif ready:
                self.read(0)

    def take_until(self, end_of_it, timeout=DEADLINE_S):
        """All bytes up to and with `end_of_it`."""
        end = time.monotonic() + timeout
        looked_at = 0
        while True:
            at = self.pending.find(end_of_it, max(looked_at - len(end_of_it), 0))
            if at >= 0:
                return self.take(at + len(end_of_it))
            looked_at = len(self.pending)
            if not self.read(end - time.monotonic()) and (self.at_end or time.monotonic() >= end):
                raise Late(f'no {end_of_it!r} within {timeout} s; there is {bytes(self.pending[-300:])!r}')

    def take(self, count, timeout=DEADLINE_S):
        """The next `count` bytes."""
        end = time.monotonic() + timeout
        while len(self.pending) < count:
            if not self.read(end - time.monotonic()) and (self.at_end or time.monotonic() >= end):
                raise Late(f'{len(self.pending)} of {count} bytes within {timeout} s')
        taken = bytes(self.pending[:count])
        del self.pending[:count]
        return taken

    def quiet(self, seconds):
        """Nothing comes for so long; gives what came before that. Ends after 100 times of it at the latest."""
        end = time.monotonic() + 100 * seconds
        while time.monotonic() < end and self.read(seconds):
            pass
        taken = bytes(self.pending)
        self.pending.clear()
        return taken


class Modem(Port):
    """Reads what comes as records: lines, the prompt, and payloads, which go to `sinks`."""

    def __init__(self, *args):
        super().__init__(*args)
        self.sinks = {}    # link ID -> what takes its payload; missing: dropped
        self.heads = {}    # link ID -> what is called with the match of each +IPD
        self.received = {} # link ID -> bytes
        self._payload = None
        self._lines = []   # came between payloads, and nobody has asked for them yet

    # ---- records

    def _take_payload(self):
        """True when a payload was taken whole."""
        link, left = self._payload
        if left:
            part = self.pending[:left]
            if link in self.sinks:
                self.sinks[link](part)
            self.received[link] = self.received.get(link, 0) + len(part)
            del self.pending[:len(part)]
            left -= len(part)
            self._payload = (link, left)
        if left or len(self.pending) < 2:
            return False
        assert self.pending[:2] == b'\r\n', f'behind a payload stands {bytes(self.pending[:20])!r}'
        del self.pending[:2]
        self._payload = None
        return True

    def _next(self, but=()):
        """The next record that is there whole: a line, b'>' or None for none. `but`: what is no record, as its bytes may be
        anything."""
        while True:
            if self._payload:
                if not self._take_payload():
                    return None
                continue
            if any(other.match(self.pending) for other in but):
                return None
            head = IPD.match(self.pending)
            if head:
                self._payload = (int(head[1] or 0), int(head[2]))
                if self._payload[0] in self.heads:
                    self.heads[self._payload[0]](head)
                del self.pending[:head.end()]
                continue
            if self.pending[:1] == b'>':
                del self.pending[:1]
                return b'>'
            if IPD_BEGUN.match(self.pending):
                return None
            at = self.pending.find(b'\r\n')
            if at < 0:
                return None
            line = bytes(self.pending[:at])
            del self.pending[:at + 2]
            if line:
                return line

    def record(self, timeout=DEADLINE_S):
        if self._lines:
            return self._lines.pop(0)
        end = time.monotonic() + timeout
        while True:
            found = self._next()
            if found is not None:
                return found
            left = end - time.monotonic()
            if not self.read(left) and (self.at_end or left <= 0):
                raise Late(f'no record within {timeout} s; there is {bytes(self.pending[:300])!r}, '
                           f'payload {self._payload}')

    def wait_for(self, *wanted, timeout=DEADLINE_S):
        """Records up to and with one of `wanted`."""
        end = time.monotonic() + timeout
        seen = []
        while True:
            try:
                seen.append(self.record(end - time.monotonic()))
            except Late as late:
                raise Late(f'no {wanted} within {timeout} s, but {seen[-10:]}: {late}') from None
            if seen[-1] in wanted:
                return seen

    def receive(self, link, count, timeout=DEADLINE_S):
        """Until `count` bytes of payload came on this link. Lines that come meanwhile are kept for the next record."""
        end = time.monotonic() + timeout
        while self.received.get(link, 0) < count:
            line = self._next()
            if line is not None:
                self._lines.append(line)
                continue
            if self.received.get(link, 0) >= count:
                break
            left = end - time.monotonic()
            if not self.read(left) and (self.at_end or left <= 0):
                raise Late(f'{self.received.get(link, 0)} of {count} bytes on link {link} within {timeout} s; '
                           f'{self._lines[-5:]} {bytes(self.pending[:100])!r}')

    # ---- commands

    def ask(self, line, timeout=DEADLINE_S):
        """Sends a line; the records up to its OK or ERROR."""
        self.write(line.encode() + b'\r\n')
        return self.wait_for(b'OK', b'ERROR', timeout=timeout)

    def command(self, line, timeout=DEADLINE_S):
        """Sends a line that must be answered OK; what came before the OK."""
        answer = self.ask(line, timeout)
        if answer[-1] != b'OK':
            raise Refused(f'{line}: {answer}')
        return answer[:-1]

    def refused(self, line, timeout=DEADLINE_S):
        """Sends a line that must be answered ERROR; what came before that."""
        answer = self.ask(line, timeout)
        assert answer[-1] == b'ERROR', f'{line} was not refused: {answer}'
        return answer[:-1]

    def prepare(self, mux=False):
        """Whatever stands in the port's buffers and in the modem's line is gone; no echo; joined."""
        self.command('ATE0')
        self.command('AT+CWMODE=1')
        if b'+CWSTATE:2' not in b' '.join(self.command('AT+CWSTATE?')):
            self.command('AT+CWJAP="net","password"')
        if mux:
            self.command('AT+CIPMUX=1')
        return self

    def poll(self, line, wanted, timeout=DEADLINE_S):
        """Asks until the answer holds `wanted`."""
        end = time.monotonic() + timeout
        while wanted not in self.command(line):
            if time.monotonic() > end:
                raise Late(f'{line}: no {wanted!r} within {timeout} s')
            time.sleep(0.005)

    def connect(self, host, port, link=None, kind='TCP'):
        address = f'"{kind}","{host}",{port}'
        answer = self.command(f'AT+CIPSTART={address}' if link is None else f'AT+CIPSTART={link},{address}')
        connected = b'CONNECT' if link is None else b'%d,CONNECT' % link
        assert connected in answer, answer

    def connect_udp(self, host, port, local=None, mode=None, link=None):
        fields = ['"UDP"', f'"{host}"', port, local, mode]
        fields = [str(field) for field in ([link] + fields if link is not None else fields) if field is not None]
        answer = self.command('AT+CIPSTART=' + ','.join(fields))
        assert (b'CONNECT' if link is None else b'%d,CONNECT' % link) in answer, answer

    def begin_send(self, count, link=None, to=None):
        """`to`: the host and port of this datagram alone."""
        to = b',"%s",%d' % (to[0].encode(), to[1]) if to else b''
        self.write(b'AT+CIPSEND=%d%s\r\n' % (count, to) if link is None else
                   b'AT+CIPSEND=%d,%d%s\r\n' % (link, count, to))
        answer = self.wait_for(b'>', b'ERROR')
        assert answer[-1] == b'>', answer

    def send(self, data, link=None, timeout=DEADLINE_S, to=None):
        self.begin_send(len(data), link, to)
        self.write(data, timeout)
        answer = self.wait_for(b'SEND OK', b'SEND FAIL', timeout=timeout)
        assert b'Recv %d bytes' % len(data) in answer and answer[-1] == b'SEND OK', answer

    def send_all(self, data, link=None, portion=2048):
        view = memoryview(data)
        for at in range(0, len(view), portion):
            self.send(view[at:at + portion], link)

    # ---- passthrough and passive receive

    def enter_passthrough(self):
        """AT+CIPSEND; from now on all bytes are data, in `pending`."""
        self.write(b'AT+CIPSEND\r\n')
        answer = self.wait_for(b'>', b'ERROR')
        assert answer[-1] == b'>', answer

    def leave_passthrough(self):
        """+++ by itself. The caller has seen that all before it was taken; AT+SYSMSG=1 makes the modem say that it is over.
        What it sent before that."""
        time.sleep(GUARD_S)  # this silence is part of the escape
        self.write(b'+++')
        return self.take_until(b'\r\n+QUITT\r\n')[:-len(b'\r\n+QUITT\r\n')]

    def read_passive(self, count, link=None, timeout=DEADLINE_S):
        """One AT+CIPRECVDATA; its bytes. Notices and other lines before it are kept for the next record."""
        return self._counted(f'AT+CIPRECVDATA={"" if link is None else f"{link},"}{count}', RECVDATA, RECVDATA_BEGUN, timeout)

    def read_flash(self, name, offset, count, timeout=DEADLINE_S):
        """One AT+SYSFLASH=2; its bytes. Other records before it as above."""
        return self._counted(f'AT+SYSFLASH=2,"{name}",{offset},{count}', SYSFLASH, SYSFLASH_BEGUN, timeout)

    def _counted(self, command, wanted, begun, timeout):
        """A command whose answer says how many bytes it has. `begun`: what may still become it."""
        self.write(command.encode() + b'\r\n')
        end = time.monotonic() + timeout
        while True:
            line = self._next((wanted, begun))
            head = None if self._payload or line is not None else wanted.match(self.pending)
            if head:
                break
            assert line != b'ERROR', f'{command} was refused'
            if line is not None:
                self._lines.append(line)
            elif not self.read(end - time.monotonic()) and (self.at_end or time.monotonic() >= end):
                raise Late(f'no answer to {command} within {timeout} s; there is {bytes(self.pending[:300])!r}')
        size = int(head[1])
        del self.pending[:head.end()]
        data = self.take(size, timeout)
        assert self.take(6, timeout) == b'\r\nOK\r\n'
        return data


class Datagrams:
    """Takes the +IPD of one link as datagrams; `sources` when AT+CIPDINFO=1."""

    def __init__(self, port, link=0):
        self.all, self.sources = [], []
        self._port, self._link, self._left = port, link, 0
        port.heads[link], port.sinks[link] = self._begin, self._go_on

    def _begin(self, head):
        self._left = int(head[2])
        self.all.append(bytearray())
        if head[3] is not None:
            self.sources.append((head[3].decode(), int(head[4])))

    def _go_on(self, part):
        self.all[-1] += part
        self._left -= len(part)

    def whole(self):
        return len(self.all) - (1 if self._left else 0)

    def wait_for(self, count, timeout=DEADLINE_S):
        """Until so many came in all; the last one."""
        end = time.monotonic() + timeout
        while self.whole() < count:
            self._port.receive(self._link, self._port.received.get(self._link, 0) + 1, end - time.monotonic())
        return bytes(self.all[count - 1])


# ---- SSL links of a modem with a trace (start_tls)

OPEN, REFUSED = [b'CONNECT', b'OK'], [b'ERROR', b'CLOSED']


def start_ssl(port, server, host='localhost'):
    """The answer to AT+CIPSTART, with the CLOSED that follows an ERROR."""
    answer = port.ask(f'AT+CIPSTART="SSL","{host}",{server.port}', timeout=30)
    return answer + port.wait_for(b'CLOSED') if answer[-1] == b'ERROR' else answer


def traces(port, text):
    """Waits for the text in the trace."""
    port.daemon.wait_until(lambda: text.encode() in port.daemon.err, f'"{text}" in the trace')


def echoes(port):
    """Data to an echo server comes back."""
    before = port.received.get(0, 0)
    port.send(b'question')
    port.receive(0, before + 8)


# ---- ways to a modem

def open_port(path):
    """A terminal, as a program with pyserial opens it."""
    port = serial.Serial(str(path), 115200, timeout=0, exclusive=False)
    return Modem(port.fileno(), port.fileno(), port.close)


def open_plain(path):
    """A terminal without a flush: what the modem said at the open is kept."""
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    return Modem(fd, fd, lambda: os.close(fd))


def open_socket(address):
    """TCP for a (host, port), UNIX for a path."""
    s = socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX)
    s.settimeout(DEADLINE_S)
    s.connect(address if isinstance(address, tuple) else str(address))
    return Modem(s.fileno(), s.fileno(), s.close)

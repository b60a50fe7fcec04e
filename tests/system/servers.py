# SPDX-License-Identifier: MIT
"""Servers on 127.0.0.1 for the modem to talk to; each runs in threads until it is closed."""

import contextlib
import hashlib
import http.server
import queue
import random
import socket
import struct
import threading
import time

CHUNK = 65536


def stream(seed, count):
    """`count` bytes that every run makes again from the seed, in pieces."""
    source = random.Random(seed)
    while count > 0:
        piece = source.randbytes(min(count, CHUNK))
        count -= len(piece)
        yield piece


def sha256_of(pieces):
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        """/<seed>/<count>"""
        _, seed, count = self.path.split('/')
        self.send_response(200)
        self.send_header('Content-Length', count)
        self.end_headers()
        for piece in stream(int(seed), int(count)):
            self.wfile.write(piece)

    def do_PUT(self):
        """Answers with the SHA-256 of what came."""
        left = int(self.headers['Content-Length'])
        digest = hashlib.sha256()
        while left:
            piece = self.rfile.read(min(left, CHUNK))
            if not piece:
                return
            digest.update(piece)
            left -= len(piece)
        body = digest.hexdigest().encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class HttpServer:
    def __init__(self):
        self._server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), _Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={'poll_interval': 0.05}, daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class TcpServer:
    """Calls serve(connection) in a thread for each connection, and closes it then. `connections` holds them all."""

    def __init__(self, serve, receive_buffer=None, address='127.0.0.1', port=0, inside=contextlib.nullcontext()):
        """`inside`: a context to make the socket in, such as a namespace."""
        self._serve = serve
        with inside:
            self._listener = socket.socket()
        # A port that was just ours can be ours again.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if receive_buffer:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._listener.bind((address, port))
        self._listener.listen(16)
        self.port = self._listener.getsockname()[1]
        self.connections = []
        self.failures = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(60)
            self.connections.append(connection)
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection):
        try:
            self._serve(connection)
        except OSError as error:
            self.failures.append(error)
        connection.close()

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # a thread that waits in accept() would keep it listening
        self._listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)  # the same for recv()
            connection.close()


class UdpServer:
    """Sends what answer(datagram, address) gives, a list of datagrams, for each one that comes; `asked` holds them."""

    def __init__(self, answer, address='127.0.0.1', port=0):
        self._answer = answer
        self._socket = udp_socket(address, port)
        self._socket.settimeout(None)
        self.port = self._socket.getsockname()[1]
        self.asked, self.failures = [], []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while True:
            data, address = self._socket.recvfrom(65536)
            if not data and address[1] == self.port:
                return
            self.asked.append(data)
            try:
                for reply in self._answer(data, address):
                    self._socket.sendto(reply, address)
            except Exception as error:
                self.failures.append(error)

    def close(self):
        self._socket.sendto(b'', self._socket.getsockname())
        self._thread.join(10)
        self._socket.close()
        assert self.failures == []


def udp_socket(address='127.0.0.1', port=0, buffer=4 << 20):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    s.bind((address, port))
    s.settimeout(10)
    return s


class DelayingProxy:
    """Passes a TCP connection on to a port of 127.0.0.1, each byte `delay` seconds late, and cut anew at random."""

    def __init__(self, to_port, delay, seed=1):
        self._to_port, self._delay, self._random = to_port, delay, random.Random(seed)
        self._server = TcpServer(self._serve)
        self.port = self._server.port

    def _serve(self, connection):
        with socket.create_connection(('127.0.0.1', self._to_port), 10) as other:
            other.settimeout(60)
            threads = []
            for source, sink in ((connection, other), (other, connection)):
                waiting = queue.Queue(maxsize=64)
                threads += [threading.Thread(target=self._take, args=(source, waiting), daemon=True),
                            threading.Thread(target=self._give, args=(sink, waiting), daemon=True)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)

    @staticmethod
    def _take(source, waiting):
        piece = b'x'
        while piece:
            try:
                piece = source.recv(CHUNK)
            except OSError:
                piece = b''
            waiting.put((time.monotonic(), piece))

    def _give(self, sink, waiting):
        with contextlib.suppress(OSError):
            while True:
                came, piece = waiting.get()
                time.sleep(max(came + self._delay - time.monotonic(), 0))
                if not piece:
                    break
                at = 0
                while at < len(piece):
                    size = self._random.choice((1, 7, 100, 1460, 20000))
                    sink.sendall(piece[at:at + size])
                    at += size
            sink.shutdown(socket.SHUT_WR)
        while piece:
            _, piece = waiting.get()  # nobody wants the rest

    def close(self):
        self._server.close()


class Sink:
    """Takes what comes until the end; `pause` may make it slow."""

    def __init__(self, pause=None, portion=CHUNK):
        self.digest, self.count, self.pause, self.portion = hashlib.sha256(), 0, pause, portion
        self.ended = threading.Event()

    def __call__(self, connection):
        while True:
            if self.pause:
                self.pause(self)
            try:
                piece = connection.recv(self.portion)
            except ConnectionResetError:
                piece = b''
            if not piece:
                break
            self.digest.update(piece)
            self.count += len(piece)
        self.ended.set()

    def wait_for(self, count, timeout=10):
        end = time.monotonic() + timeout
        while self.count < count and time.monotonic() < end:
            time.sleep(0.005)
        assert self.count >= count, f'the server got {self.count} of {count} bytes'


def echo(connection):
    while True:
        piece = connection.recv(CHUNK)
        if not piece:
            return
        connection.sendall(piece)


def reset(connection):
    """Ends it with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    connection.close()


class Silent:
    """A port that nobody answers: its queue is full, so further SYNs are dropped."""

    def __init__(self):
        self._listener = socket.socket()
        self._listener.bind(('127.0.0.1', 0))
        self._listener.listen(0)
        self.port = self._listener.getsockname()[1]
        self._fill = []
        for _ in range(8):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(('127.0.0.1', self.port))
            self._fill.append(s)

    def is_silent(self):
        probe = socket.socket()
        probe.settimeout(0.3)
        try:
            probe.connect(('127.0.0.1', self.port))
            return False
        except TimeoutError:
            return True
        finally:
            probe.close()

    def close(self):
        for s in [*self._fill, self._listener]:
            s.close()


def wait_for_answer(process, port, question):
    """Asks by UDP until the server that this process is answers; gives the answer."""
    end = time.monotonic() + 10
    with udp_socket() as s:
        s.settimeout(0.05)
        s.connect(('127.0.0.1', port))
        while True:
            assert time.monotonic() < end and process.poll() is None, process.log.read_text()
            try:
                s.send(question)
                return s.recv(512)
            except OSError:
                pass


def closed_port():
    """A port of 127.0.0.1 where nobody listens."""
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def free_port():
    """One for a server of ours, TCP and UDP: below those that the system gives to anybody who asks for none."""
    for _ in range(100):
        port = random.SystemRandom().randrange(10000, 32000)
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind(('', port))
                udp.bind(('', port))
                return port
            except OSError:
                pass
    raise AssertionError('no port is free')

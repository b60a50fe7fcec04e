# SPDX-License-Identifier: MIT
"""An update server as the firmware expects it, which can also fail in every way that a test asks for."""

import re
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse


def plain(body, status='200 OK', length=None, fields=()):
    """An answer whose Content-Length is true, or what `length` says; None of it with length=False."""
    lines = [f'HTTP/1.1 {status}', 'Server: test', *fields]
    if length is not False:
        lines.append(f'Content-Length: {len(body) if length is None else length}')
    return '\r\n'.join(lines).encode() + b'\r\n\r\n' + body


class UpdateServer:
    """Serves `files` by name and the newest `version`. `answers` maps the file's name, or "version", to what is sent
    instead: bytes, or a function of the connection. Each request is kept in `requests`."""

    def __init__(self, version='v2.2.0.0', certificate=None, key=None, address='127.0.0.1'):
        self.version, self.files, self.answers, self.requests = version, {}, {}, []
        self.connections = 0
        self._open = set()
        self._closing = False
        self._listener = socket.create_server((address, 0))
        self.port = self._listener.getsockname()[1]
        self._tls = None
        if certificate:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate, key)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._closing = True
        self._listener.close()
        self.drop()

    def drop(self):
        """Ends every connection."""
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        self._open.add(connection)
        try:
            with connection:
                if self._tls:
                    with self._tls.wrap_socket(connection, server_side=True) as inner:
                        self._answer(inner)
                else:
                    self._answer(connection)
        except OSError:
            pass
        finally:
            self._open.discard(connection)

    def _answer(self, connection):
        head = b''
        while not head.endswith(b'\r\n\r\n'):
            if len(head) >= 3 and not head.startswith(b'GET'):
                return # TLS, for one
            piece = connection.recv(4096)
            if not piece:
                return
            head += piece
        self.requests.append(head)
        target = head.split(b' ')[1].decode()
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(target).query, keep_blank_values=True)
        name = query['filename'][0] if 'filename' in query else 'version' if 'is_format_simple' in query else target
        answer = self.answers.get(name)
        if answer is None and name == 'version':
            answer = plain(b'{"status": 200, "rom_version": "%s", "more": 1}' % self.version.encode())
        elif answer is None:
            answer = plain(self.files[name]) if name in self.files else plain(b'no', '404 Not Found')
        if callable(answer):
            answer(connection)
        else:
            connection.sendall(answer)
        # As keep-alive promises: the client is the one to close.
        while not self._closing and connection.recv(4096):
            pass

    def wait_for_requests(self, count, timeout=10):
        end = time.monotonic() + timeout
        while len(self.requests) < count:
            assert time.monotonic() < end, f'{len(self.requests)} of {count} requests'
            time.sleep(0.002)

    def targets(self):
        return [request.split(b' ')[1].decode() for request in self.requests]


class Signer:
    """An Ed25519 key; `public` is the file that --ota-key wants."""

    def __init__(self, folder):
        self._folder, self._key, self.public = folder, folder / 'update.key', folder / 'update.pem'
        self._openssl('genpkey', '-algorithm', 'ed25519', '-out', self._key)
        self._openssl('pkey', '-in', self._key, '-pubout', '-out', self.public)

    @staticmethod
    def _openssl(*args):
        return subprocess.run(['openssl', *args], capture_output=True, check=True).stdout

    def sign(self, data):
        with tempfile.NamedTemporaryFile(dir=self._folder) as file:  # others may sign, too
            file.write(data)
            file.flush()
            return self._openssl('pkeyutl', '-sign', '-rawin', '-inkey', self._key, '-in', file.name)


def silent(connection):
    connection.recv(1)


def endless_header(connection):
    connection.sendall(b'HTTP/1.1 200 OK\r\n')
    while True:
        connection.sendall(b'X-More: ' + b'x' * 4000 + b'\r\n')


def slowly(data, pause, event):
    """Byte after byte, until the event."""
    def send(connection):
        for byte in data:
            connection.sendall(bytes([byte]))
            if event.wait(pause):
                return
    return send


def version_of(target):
    return re.search(r'version=([^&]*)', target)[1]

# SPDX-License-Identifier: MIT
"""A TLS link beside `openssl s_client`: both receive the same bytes from the same server, one after the other.

The modem is read over a UNIX socket, so that the figure is that of TLS and not of a terminal."""

import os
import pathlib
import socket
import ssl
import subprocess
import tempfile
import threading
import time

BYTES = 64 << 20
BLOCK = bytes(range(256)) * 256
LIMIT_S = 60


def make_certificate(folder):
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost',
                    '-keyout', folder / 'key.pem', '-out', folder / 'cert.pem'],
                   check=True, capture_output=True, timeout=LIMIT_S, stdin=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / 'cert.pem', folder / 'key.pem')
    return context


def serve(listener, context):
    """Sends BYTES to each client once it has sent a line; ends when the listener is closed."""
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        try:
            with context.wrap_socket(client, server_side=True) as stream:
                stream.settimeout(LIMIT_S)
                stream.recv(100)
                for _ in range(BYTES // len(BLOCK)):
                    stream.sendall(BLOCK)
                stream.recv(1)  # until the client has had enough
        except OSError:
            pass


def take(read):
    """Reads BYTES; returns MB/s from the first byte on."""
    got = len(read())
    begin = time.monotonic()
    while got < BYTES:
        piece = read()
        if not piece:
            raise RuntimeError(f'{got} of {BYTES} bytes came')
        got += len(piece)
    return BYTES / (time.monotonic() - begin) / 1e6


def by_openssl(port):
    with subprocess.Popen(['openssl', 's_client', '-quiet', '-connect', f'127.0.0.1:{port}'], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0) as client:
        try:
            client.stdin.write(b'go\n')
            return take(lambda: os.read(client.stdout.fileno(), 65536))
        finally:
            client.kill()


def expect(host, line, end):
    host.sendall(line + b'\r\n')
    answer = b''
    while not answer.endswith(end):
        piece = host.recv(4096)
        if not piece or b'ERROR' in answer:
            raise RuntimeError(f'{line!r} was answered {answer!r}')
        answer += piece


def by_modem(espat, folder, port):
    path = folder / 'modem'
    with subprocess.Popen([espat, '--unix', path, '--no-state', '--join', 'bench'], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as daemon:
        try:
            daemon.stdout.readline()
            with socket.socket(socket.AF_UNIX) as host:
                host.settimeout(LIMIT_S)
                host.connect(str(path))
                expect(host, b'ATE0', b'OK\r\n')
                expect(host, b'AT+CWJAP="bench",""', b'OK\r\n')
                expect(host, b'AT+CIPSTART="SSL","127.0.0.1",%d' % port, b'OK\r\n')
                expect(host, b'AT+CIPMODE=1', b'OK\r\n')
                expect(host, b'AT+CIPSEND', b'>')
                host.sendall(b'go\n')
                return take(lambda: host.recv(65536))
        finally:
            daemon.terminate()


def measure(espat, runs):
    """(MB/s of openssl s_client, MB/s of a modem) for each of `runs` rounds, the two in turn."""
    with tempfile.TemporaryDirectory() as name, socket.create_server(('127.0.0.1', 0)) as listener:
        folder = pathlib.Path(name)
        context = make_certificate(folder)
        port = listener.getsockname()[1]
        threading.Thread(target=serve, args=(listener, context), daemon=True).start()
        return [(by_openssl(port), by_modem(espat, folder, port)) for _ in range(runs)]

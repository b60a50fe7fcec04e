# SPDX-License-Identifier: MIT
"""The images of certificate partitions, what stands in them, and AT+SYSFLASH, which moves them."""

import struct
import subprocess

BYTES, BLOCK = 8192, 4096
CA, CERT, KEY = 1, 2, 3


def image(*items):
    """The image of items (type, id, bytes), without the erased rest of the partition."""
    body = b''
    for kind, number, content in items:
        body += struct.pack('<BBH', kind, number, len(content)) + content + b'\xff' * (-len(content) % 4)
    return struct.pack('<HHL', 0xf1f1, len(items), len(body)) + body


def partition(*items):
    return image(*items).ljust(BYTES, b'\xff')


class Pair:
    """A certificate of the authority and its key, as bytes."""

    def __init__(self, authority, name):
        self._cert, self._key = authority.cert(name), authority.key(name)

    def pem(self):
        return self._cert.read_bytes()

    def key_pem(self):
        return self._key.read_bytes()

    def der(self):
        return subprocess.run(['openssl', 'x509', '-in', self._cert, '-outform', 'DER'], capture_output=True,
                              check=True).stdout

    def key_der(self):
        return subprocess.run(['openssl', 'ec', '-in', self._key, '-outform', 'DER'], capture_output=True,
                              check=True).stdout


def erase(port, name):
    port.command(f'AT+SYSFLASH=0,"{name}"')


def write(port, name, offset, data):
    port.write(f'AT+SYSFLASH=1,"{name}",{offset},{len(data)}\r\n'.encode())
    port.wait_for(b'>')
    port.write(data)
    assert port.wait_for(b'OK', b'ERROR')[-1] == b'OK'


def provision(port, name, data, piece=1024):
    erase(port, name)
    for at in range(0, len(data), piece):
        write(port, name, at, data[at:at + piece])


def read(port, name, offset=0, size=BYTES):
    data = port.read_flash(name, offset, size)
    assert len(data) == size
    return data

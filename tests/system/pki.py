# SPDX-License-Identifier: MIT
"""Certificates for tests, and the partition images that hold them."""

import datetime
import struct

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

BYTES = 8192
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
    """A key and its certificate, by `issuer` or self-signed."""

    def __init__(self, name, issuer=None, is_ca=False, addresses=()):
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        start = datetime.datetime(2020, 1, 1)
        builder = (x509.CertificateBuilder().subject_name(self.name)
                   .issuer_name(issuer.name if issuer else self.name)
                   .public_key(self.private.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(start).not_valid_after(datetime.datetime(2100, 1, 1))
                   .add_extension(x509.BasicConstraints(is_ca, None), critical=True))
        names = [x509.DNSName(name)] + [x509.IPAddress(address) for address in addresses]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        self.certificate = builder.sign((issuer or self).private, hashes.SHA256())

    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def der(self):
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def key_pem(self):
        return self.private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                          serialization.NoEncryption())

    def key_der(self):
        return self.private.private_bytes(serialization.Encoding.DER,
                                          serialization.PrivateFormat.TraditionalOpenSSL,
                                          serialization.NoEncryption())

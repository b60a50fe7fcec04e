# SPDX-License-Identifier: MIT
"""Certificates for the tests, made by the openssl program, and state folders that hold them."""

import os
import pathlib
import shutil
import ssl
import subprocess


def openssl(*args):
    done = subprocess.run(['openssl', *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr.decode()


class Authority:
    """Each certificate is <name>.pem with the key <name>.key; `root` issues them, `stranger` is nobody's root."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self._serial = 1
        for name in ('root', 'stranger'):
            self.issue(name, name, issuer=None, ca=True)
        self.issue('server', 'server', 'DNS:localhost,IP:127.0.0.1')
        self.issue('other', 'other.example')
        self.issue('wild', 'wild', 'DNS:*.example.org')
        self.issue('expired', 'localhost', days=-1)
        self.issue('self', 'localhost', issuer=None)
        self.issue('client', 'client')
        self.issue('strange-client', 'client', issuer='stranger')

    def cert(self, name):
        return self.folder / f'{name}.pem'

    def key(self, name):
        return self.folder / f'{name}.key'

    def issue(self, name, cn, san='', issuer='root', days=30, ca=False):
        request, extensions = self.folder / 'request', self.folder / 'extensions'
        openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', self.key(name),
                '-out', request, '-subj', f'/CN={cn}')
        extensions.write_text(('basicConstraints=critical,CA:TRUE\n' if ca else '') +
                              (f'subjectAltName={san}\n' if san else ''))
        by = ['-CA', self.cert(issuer), '-CAkey', self.key(issuer)] if issuer else ['-signkey', self.key(name)]
        self._serial += 1
        openssl('x509', '-req', '-in', request, *by, '-set_serial', self._serial, '-days', days, '-extfile',
                extensions, '-out', self.cert(name))

    def install(self, state, **items):
        """install(state, client_ca_0='root') puts root.pem at certificates/client_ca.0.pem; a key is that of its name."""
        folder = pathlib.Path(state) / 'certificates'
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for item, name in items.items():
            kind, index = item.rsplit('_', 1)
            place = folder / f'{kind}.{index}.pem'
            shutil.copyfile(self.key(name) if kind.endswith('_key') else self.cert(name), place)
            os.chmod(place, 0o600)
        return state

    def server(self, name='server', version=None, client_ca=None, alpn=None):
        """What python's TLS server works with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert(name), self.key(name))
        if version:
            context.minimum_version = context.maximum_version = version
        if client_ca:
            context.load_verify_locations(self.cert(client_ca))
            context.verify_mode = ssl.CERT_REQUIRED
        if alpn:
            context.set_alpn_protocols(alpn)
        return context

    def client(self, name=None, ca='root'):
        """What python's TLS client works with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.cert(ca))
        if name:
            context.load_cert_chain(self.cert(name), self.key(name))
        return context


class Tls:
    """Serves TLS: what a TcpServer calls for each connection. `seen` are its TLS sockets, `errors` what went wrong.
    `clean` counts the connections that the other side ended with close_notify."""

    def __init__(self, context, serve):
        self.context, self.serve = context, serve
        self.seen, self.errors, self.clean = [], [], 0

    def __call__(self, connection):
        try:
            connection = self.context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=False)
            self.seen.append(connection)
            self.serve(connection)
            connection.unwrap()
            self.clean += 1
        except (ssl.SSLError, OSError) as error:
            self.errors.append(error)
        connection.close()

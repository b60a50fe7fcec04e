# SPDX-License-Identifier: MIT
"""Two network namespaces and a cable between them, made for one test and removed after it."""

import contextlib
import ctypes
import os
import re
import shutil
import subprocess

import pytest

MODEM, PEER = '198.18.0.1', '198.18.0.2'  # addresses for tests of networks (RFC 2544)
ABSENT = '198.18.0.77'
BROADCAST = '198.18.0.255'
LIMIT_S = 15

_NEW_NETWORK = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_made = 0


def _ip(*words):
    return subprocess.run(['ip', *map(str, words)], capture_output=True, timeout=LIMIT_S, check=False, text=True)


def _must(result):
    assert result.returncode == 0, f'{result.args}: {result.stderr}'


def _enter(fd):
    if _libc.setns(fd, _NEW_NETWORK) != 0:
        raise OSError(ctypes.get_errno(), 'setns')


def _remove_those_left_behind():
    """Of processes that were killed."""
    for name, pid in re.findall(r'^(espat-(\d+)-\d+-\w+)', _ip('netns', 'list').stdout, re.M):
        if not os.path.exists(f'/proc/{pid}'):
            _ip('netns', 'del', name)


class Wire:
    """`modem` and `peer` are names of namespaces whose interface `wire` is one end of the cable; all else is up as usual."""

    def __init__(self):
        global _made
        if not shutil.which('ip'):
            pytest.skip('ip is not installed: see tools/install-deps')
        _remove_those_left_behind()
        _made += 1
        self.modem, self.peer = (f'espat-{os.getpid()}-{_made}-{side}' for side in ('modem', 'peer'))
        if _ip('netns', 'add', self.modem).returncode != 0:
            pytest.skip('this user may not make network namespaces')
        try:
            _must(_ip('netns', 'add', self.peer))
            made = _ip('-n', self.modem, 'link', 'add', 'wire', 'type', 'veth', 'peer', 'wire', 'netns', self.peer)
            if made.returncode != 0:
                pytest.skip(f'this kernel has no veth: {made.stderr.strip()}')
            for name, address in ((self.modem, MODEM), (self.peer, PEER)):
                _must(_ip('-n', name, 'link', 'set', 'lo', 'up'))
                _must(_ip('-n', name, 'address', 'add', f'{address}/24', 'broadcast', BROADCAST, 'dev', 'wire'))
                # Otherwise a "packet" of this cable is one of up to 64 KiB, and a stream of half a MiB is eight of them.
                _must(_ip('-n', name, 'link', 'set', 'wire', 'gso_max_segs', 1))
                _must(_ip('-n', name, 'link', 'set', 'wire', 'up'))
        except BaseException:
            self.close()
            raise

    def exec_words(self, side):
        """What stands before a program that runs there."""
        return ['ip', 'netns', 'exec', side]

    def must_run(self, side, *words):
        result = subprocess.run([*self.exec_words(side), *words], capture_output=True, timeout=LIMIT_S, check=False,
                                text=True)
        _must(result)

    def filter(self, side, *rules):
        """Rules of nft for what comes in on that side."""
        if not shutil.which('nft', path=os.environ.get('PATH', '') + ':/usr/sbin:/sbin'):
            pytest.skip('nft is not installed: see tools/install-deps')
        text = 'table ip espat {\n chain in {\n  type filter hook input priority 0\n' + \
               ''.join(f'  {rule}\n' for rule in rules) + ' }\n}\n'
        result = subprocess.run([*self.exec_words(side), 'nft', '-f', '-'], input=text, capture_output=True,
                                timeout=LIMIT_S, check=False, text=True)
        if result.returncode != 0:
            pytest.skip(f'this kernel cannot filter so: {result.stderr.strip()}')

    def dropped(self, side):
        """Packets that a `counter drop` rule took."""
        text = subprocess.run([*self.exec_words(side), 'nft', 'list', 'ruleset'], capture_output=True, timeout=LIMIT_S,
                              check=True, text=True).stdout
        return sum(int(n) for n in re.findall(r'counter packets (\d+)', text))

    @contextlib.contextmanager
    def inside(self, side):
        """Sockets that this thread makes belong to that side."""
        with open(f'/run/netns/{side}', 'rb') as there, open('/proc/thread-self/ns/net', 'rb') as here:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(here.fileno())

    def close(self):
        for name in (self.modem, self.peer):
            _ip('netns', 'del', name)

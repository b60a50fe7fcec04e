# SPDX-License-Identifier: MIT
"""The account of every byte: what was given at one end of a link, and what came at the other."""

import collections
import random
import threading

BLOCK = 4096
OUT, IN = 'host to network', 'network to host'


class Wrong(AssertionError):
    """A byte was lost, came twice, or was changed."""


class _Keystream:
    """Bytes that a key and their position determine, one after the other."""

    def __init__(self, key):
        self._source, self._ready = random.Random(key), bytearray()

    def next(self, count):
        while len(self._ready) < count:
            self._ready += self._source.randbytes(BLOCK)
        piece = bytes(self._ready[:count])
        del self._ready[:count]
        return piece


class Flow:
    """One direction of one link. Each end is used by one thread."""

    def __init__(self, key, kind, way):
        self.key, self.kind, self.way = key, kind, way
        self.given = self.taken = 0
        self._giver, self._taker = _Keystream(key), _Keystream(key)

    def give(self, count):
        self.given += count
        return self._giver.next(count)

    def take(self, piece):
        """These came at the other end: the very next ones must be the same."""
        expected = self._taker.next(len(piece))
        if piece != expected:
            at = next(n for n, (is_, must) in enumerate(zip(piece, expected)) if is_ != must)
            raise Wrong(f'{self}: byte {self.taken + at} is not the one that was sent: '
                        f'{bytes(piece[at:at + 16])!r} in place of {expected[at:at + 16]!r}')
        self.taken += len(piece)
        if self.taken > self.given:
            raise Wrong(f'{self}: {self.taken - self.given} bytes more than were sent')

    def whole(self):
        return self.taken == self.given

    def __str__(self):
        return f'{self.kind} {self.key}, {self.way} ({self.given} given, {self.taken} came)'


class Row:
    def __init__(self):
        self.links = self.given = self.taken = self.cut = 0


class Ledger:
    """The sums, by kind and direction. Many threads write to it."""

    def __init__(self):
        self._lock = threading.Lock()
        self.rows = collections.defaultdict(Row)
        self.counts = collections.Counter()

    def count(self, what, number=1):
        with self._lock:
            self.counts[what] += number

    def close(self, flow, cut):
        """The link has ended. cut: by what the scenario did to it, so that a part may have been on its way."""
        with self._lock:
            row = self.rows[flow.kind, flow.way]
            row.links += 1
            row.given += flow.given
            row.taken += flow.taken
            if cut:
                row.cut += flow.given - flow.taken
        if not cut and not flow.whole():
            raise Wrong(f'{flow}: {flow.given - flow.taken} bytes are lost')

    def lost(self):
        with self._lock:
            return sum(row.given - row.taken - row.cut for row in self.rows.values())

    def moved(self):
        with self._lock:
            return sum(row.taken for row in self.rows.values())

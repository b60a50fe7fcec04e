#!/usr/bin/python3 -B
# SPDX-License-Identifier: MIT
"""The soak: mixed traffic on many modems for long. No byte is lost; no memory, descriptor, process or file is left behind.

    tests/soak/soak.py <espat>...    the first of these programs that is there

SOAK_SECONDS (3600) how long, SOAK_MODEMS (20) how many on PTYs in one process; a tenth of that, at least one, is on TCP
and on UNIX sockets in two more. SOAK_SEED plays the same scenarios again; their timing is the machine's. SOAK_LOAD (0.6)
is how much of one core all of it together may use. SOAK_TRACES names a folder for the daemons' traces. Every
minute a line; at the end, or at Ctrl-C, a table and a verdict. Exit status 1: something was lost, grew or failed."""

import collections
import contextlib
import os
import pathlib
import random
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(1, str(pathlib.Path(__file__).resolve().parents[1] / 'system'))

import authority  # noqa: E402
import modem  # noqa: E402
import scene  # noqa: E402
import servers  # noqa: E402
import update_server  # noqa: E402
from far_side import name_server, time_server  # noqa: E402
from ledger import IN, OUT, Ledger  # noqa: E402
from partitions import Certificates  # noqa: E402
from traffic import Traffic  # noqa: E402

GROWTH_KIB = 256    # of a process, from the second tenth of the time to the last
MEMORY_FROM_S = 60  # a shorter run is all warm-up: its memory is shown, not judged
SETTLE_S = 20       # until the descriptors of closed links are closed, too
STAY_S = 3          # what is open so long at rest is there to stay; a socket for pings goes earlier
REST_S = 240        # until every host has ended its scenario
START_S = 15
LINES_KEPT = 40


def stat_of(proc):
    """From the state of the process on."""
    return (proc / 'stat').read_text().rsplit(')', 1)[1].split()


class Daemon:
    """One process of the daemon, and what it holds."""

    def __init__(self, name, program, args, env, certificates):
        self.name, self.certificates = name, certificates
        self.errors = tempfile.TemporaryFile()
        # It does not outlive us, however we end: a modem in passthrough would knock at its far side's port for ever.
        self.process = subprocess.Popen(['setpriv', '--pdeathsig', 'TERM', program, *map(str, args)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.errors, env=env,
                                        start_new_session=True)  # Ctrl-C is for us
        self.proc = pathlib.Path(f'/proc/{self.process.pid}')
        self.samples = []  # (seconds, resident KiB, private dirty KiB)
        self.base = None   # descriptors at rest
        self.ticks = 0

    def holds(self):
        """KiB resident, and of those the private ones that were written to."""
        sizes = dict.fromkeys(('Rss', 'Private_Dirty'), 0)
        for line in (self.proc / 'smaps_rollup').read_text().splitlines():
            key, _, value = line.partition(':')
            if key in sizes:
                sizes[key] = int(value.split()[0])
        return sizes['Rss'], sizes['Private_Dirty']

    def descriptors(self):
        return len(os.listdir(self.proc / 'fd'))

    def threads(self):
        return len(os.listdir(self.proc / 'task'))

    def cpu_s(self):
        """With that of children that have ended."""
        return sum(map(int, stat_of(self.proc)[11:15])) / os.sysconf('SC_CLK_TCK')

    def children(self):
        """Their process IDs."""
        found = []
        for proc in pathlib.Path('/proc').glob('[0-9]*'):
            with contextlib.suppress(OSError):  # it may end just now
                if stat_of(proc)[1] == str(self.process.pid):
                    found.append(proc.name)
        return found

    def left(self):
        """What is there at rest and should not be."""
        left = [f'child process {pid}' for pid in self.children()]
        left += [f'file {name}' for name in self.certificates.strays()]
        count = self.descriptors()
        if count > self.base:
            names = sorted(os.readlink(fd) for fd in (self.proc / 'fd').iterdir())
            left.append(f'{count} descriptors, {self.base} before: {names}')
        return left

    def said(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors='replace')

    def end(self):
        """Its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(START_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode

    def median(self, of, low, high):
        """Of the samples between two parts of the time."""
        end = self.samples[-1][0]
        return statistics.median([sample[of] for sample in self.samples if low * end <= sample[0] <= high * end] or
                                 [self.samples[-1][of]])


class Soak:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.seconds = float(os.environ.get('SOAK_SECONDS', 3600))
        self.modems = int(os.environ.get('SOAK_MODEMS', 20))
        self.seed = int(os.environ.get('SOAK_SEED') or random.SystemRandom().randrange(1, 1 << 31))
        # Where the links are, and the hosts' sockets. No other program comes here, not even a modem that another test left
        # behind, which tries to get the link of its passthrough back from whoever has the port by now.
        self.net = f'127.{64 + os.getpid() // 256 % 128}.{os.getpid() % 256}'
        self.load = float(os.environ.get('SOAK_LOAD', 0.6))
        self.traces = os.environ.get('SOAK_TRACES')
        self.most = 100000 if self.seconds >= 60 else 30000  # bytes of one direction of a link
        self.sanitized = b'__asan_init' in pathlib.Path(program).read_bytes()
        self.ledger = Ledger()
        self.failures, self.lock = [], threading.Lock()
        self.ending, self.gate = threading.Event(), threading.Event()
        self.toured = threading.Semaphore(0)
        self.resting, self.pause_s = set(), 0.02
        self.begun = time.monotonic()
        self.ports = set()
        self.daemons, self.hosts, self.threads = [], [], []
        self.may_ping = self.find_whether_we_may_ping()

    @staticmethod
    def find_whether_we_may_ping():
        for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
            with contextlib.suppress(PermissionError):
                socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP).close()
                return True
        return False

    def address(self, number):
        """1: the modems' servers; 2: what they connect to; 3: their lines; any other: what names mean."""
        return f'{self.net}.{number}'

    def port(self):
        """One that no other modem has."""
        while True:
            port = servers.free_port()
            if port not in self.ports:
                self.ports.add(port)
                return port

    def tcp_ports(self, count):
        """So many in a row."""
        while True:
            first = self.port()
            try:
                for number in range(count):
                    with socket.socket() as probe:
                        probe.bind((self.address(3), first + number))
            except OSError:
                continue
            self.ports.update(range(first, first + count))
            return first

    # ---- the beginning

    def start(self):
        pki = authority.Authority(self.make_folder('pki'))
        pki.issue('soak', 'soak', f'DNS:localhost,DNS:7.soak.test,IP:{self.address(2)},IP:{self.address(7)}')
        self.server_context, self.client_context = pki.server('soak'), pki.client()
        signer = update_server.Signer(self.make_folder('signer'))
        self.name_server, self.time_server = name_server(self.net), time_server()
        few = max(1, self.modems // 10)
        first = self.tcp_ports(few)
        ways = [
            ('PTY', self.modems, f'--pty={self.folder}/modem%d', lambda n: modem.open_plain(self.folder / f'modem{n}')),
            ('TCP', few, f'--tcp={self.address(3)}:{first}', lambda n: modem.open_socket((self.address(3), first + n))),
            ('UNIX', few, f'--unix={self.folder}/socket%d', lambda n: modem.open_socket(self.folder / f'socket{n}')),
        ]
        for kind, count, transport, way in ways:
            certificates = Certificates(self.make_folder(f'state-{kind}'), pki, signer, self.address(2))
            self.start_daemon(kind, count, transport.replace('%d', '0') if count == 1 else transport, certificates)
            for number in range(count):
                name = f'{kind}{number}'
                self.hosts.append(Traffic(name, lambda way=way, number=number: self.reach(way, number), self,
                                          certificates, random.Random(f'{self.seed}/{name}')))

    def make_folder(self, name):
        (self.folder / name).mkdir(mode=0o700)
        return self.folder / name

    def start_daemon(self, kind, count, transport, certificates):
        args = [transport, '--count', count, '--state', certificates.state, '--listen-address', self.address(1),
                '--dns-port', self.name_server.port, '--sntp-port', self.time_server.port,
                '--ota-url', f'http://{self.address(2)}:{certificates.server.port}', '--ota-key', certificates.signer.public]
        if self.traces:
            args.append(f'--trace={self.traces}/{kind}.trace')
        self.daemons.append(Daemon(kind, self.program, args, {**os.environ, 'HOME': str(self.folder)}, certificates))

    @staticmethod
    def reach(way, number):
        """The daemon may just be starting, or not yet have seen that the host before has gone."""
        end = time.monotonic() + START_S
        while True:
            try:
                return way(number)
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)

    # ---- a host's thread

    def run(self, host):
        try:
            host.open()
            host.set_up()
            for scenario in host.tour():
                if self.goes_on(host):
                    scenario()
            self.toured.release()
            while self.goes_on(host):
                host.turn()
            host.close()
        except Exception as error:
            with self.lock:
                lines = [repr(line) for line in host.line.log] if host.line else []
                self.failures.append(f'{host.name}, {host.doing}: {error!r}\n{traceback.format_exc()}\n' +
                                     '\n'.join([*lines[-LINES_KEPT:], '', self.scene(host)]))
            self.ending.set()
        self.resting.add(host.name)

    def scene(self, host):
        daemon = next(daemon for daemon in self.daemons if host.name.startswith(daemon.name))
        return scene.describe(daemon.process.pid, host) if host.line else ''

    def goes_on(self, host):
        """Whether there is another scenario; waits as the load wants it, and at quiet points."""
        if not self.gate.is_set():
            self.rest(host)
        self.ending.wait(min(host.random.expovariate(1 / self.pause_s), 5))
        return not self.ending.is_set()

    def rest(self, host):
        self.resting.add(host.name)
        while not self.ending.is_set() and not self.gate.wait(0.2):
            pass
        self.resting.discard(host.name)

    # ---- watching

    def since(self):
        return time.monotonic() - self.begun

    def fail(self, text):
        with self.lock:
            self.failures.append(text)
        self.ending.set()

    def watch(self):
        """Until the time is over, something failed, or Ctrl-C."""
        for host in self.hosts:
            self.threads.append(threading.Thread(target=self.run, args=(host,), daemon=True))
        self.gate.set()
        for thread in self.threads:
            thread.start()
        self.tour()
        self.gate.set()
        every = min(max(self.seconds / 30, 4), 120)
        quiet_at, told_at, load = self.since() + every, self.since() + 60, collections.deque([self.used()], maxlen=6)
        while self.since() < self.seconds and not self.ending.wait(1):
            self.sample()
            load.append(self.used())
            self.steer(load)
            if self.since() >= told_at:
                told_at += 60
                self.tell(load)
            if self.since() >= quiet_at:
                self.quiet_point()
                self.gate.set()
                quiet_at = self.since() + every
                load.clear()
                load.append(self.used())
        if not self.ending.is_set():
            self.quiet_point()

    def tour(self):
        """Every host plays every scenario once; what then is open at rest is the base."""
        end = time.monotonic() + REST_S
        through = 0
        while through < len(self.hosts) and not self.ending.is_set():
            through += self.toured.acquire(timeout=0.5)
            self.sample()
            if time.monotonic() > end:
                self.fail('the hosts do not get through their scenarios')
        self.quiet_point()

    def used(self):
        """The time, and the CPU time of all of it."""
        own = resource.getrusage(resource.RUSAGE_SELF)
        running = [daemon for daemon in self.daemons if daemon.process.poll() is None]
        return time.monotonic(), own.ru_utime + own.ru_stime + sum(daemon.cpu_s() for daemon in running)

    def steer(self, load):
        """More or less rest for the hosts, so that all together uses as much of a core as was asked for."""
        (since, before), (now, after) = load[0], load[-1]
        if now > since:
            factor = 1.1 if (after - before) / (now - since) > self.load else 0.93
            self.pause_s = min(max(self.pause_s * factor, 0.01), 10)

    def sample(self):
        for daemon in self.daemons:
            if daemon.process.poll() is not None:
                self.fail(f'the daemon on {daemon.name} ended with {daemon.process.returncode}: {daemon.said()}')
                return
            daemon.samples.append((self.since(), *daemon.holds()))

    def quiet_point(self):
        """All hosts rest, no link is open: the descriptors are those of the first time, and no update has left anything."""
        self.gate.clear()
        end = time.monotonic() + REST_S
        while len(self.resting) < len(self.hosts) and not self.ending.wait(0.02):
            if time.monotonic() > end:
                busy = [f'{host.name} {host.doing}' for host in self.hosts if host.name not in self.resting]
                self.fail(f'not at rest: {", ".join(busy)}')
        if self.ending.is_set():
            return
        if self.daemons[0].base is None:
            self.take_base()
        end = time.monotonic() + SETTLE_S
        for daemon in self.daemons:
            left = daemon.left()
            while left and time.monotonic() < end:
                time.sleep(0.05)
                left = daemon.left()
            if left:
                self.fail(f'{daemon.name} at rest: {"; ".join(left)}')
        self.ledger.count('quiet points')
        self.sample()

    def take_base(self):
        """The descriptors that stay."""
        last, since = None, time.monotonic()
        end = since + SETTLE_S
        while time.monotonic() < min(since + STAY_S, end):
            counts = [daemon.descriptors() for daemon in self.daemons]
            if counts != last:
                last, since = counts, time.monotonic()
            time.sleep(0.05)
        for daemon, count in zip(self.daemons, last):
            daemon.base = count

    def tell(self, load):
        (since, before), (now, after) = load[0], load[-1]
        counts = self.ledger.counts
        print(f'{self.since() / 60:5.1f} min  {counts["scenarios"]} scenarios, {counts["links"]} links, '
              f'{self.ledger.moved() / 1e6:.1f} MB, lost {self.ledger.lost()}; ' +
              ', '.join(f'{d.name} {d.samples[-1][1]} KiB {d.descriptors()} fds' for d in self.daemons) +
              f'; load {(after - before) / max(now - since, 1e-3):.2f}', flush=True)

    # ---- the end

    def end(self):
        self.ending.set()
        end = time.monotonic() + REST_S
        for thread in self.threads:
            thread.join(max(end - time.monotonic(), 0.1))
        self.ran, self.cpu = self.since(), {}
        for daemon in self.daemons:
            if daemon.process.poll() is None:
                self.cpu[daemon.name] = daemon.cpu_s(), daemon.descriptors(), daemon.threads()
            status = daemon.end()
            if status or daemon.said():
                self.failures.append(f'the daemon on {daemon.name} ended with {status} and said: {daemon.said()}')
        for server in (self.name_server, self.time_server, *(daemon.certificates.server for daemon in self.daemons)):
            server.close()

    def judge_memory(self):
        if self.sanitized or self.ran < MEMORY_FROM_S:
            return f'not judged: {"a build with sanitizers" if self.sanitized else "too short a run"}'
        for daemon in self.daemons:
            grown = daemon.median(1, 0.9, 1) - daemon.median(1, 0.1, 0.2)
            if grown > GROWTH_KIB:
                self.failures.append(f'{daemon.name}: {grown:.0f} KiB more are resident at the end')
        return f'at most {GROWTH_KIB} KiB more in the last tenth than in the second'

    def table(self):
        print(f'\n{"bytes":<18} {"":<16} {"links":>7} {"sent":>14} {"arrived":>14} {"cut off":>10} {"lost":>5}')
        for (kind, way), row in sorted(self.ledger.rows.items()):
            print(f'{kind:<18} {way:<16} {row.links:>7} {row.given:>14,} {row.taken:>14,} {row.cut:>10,} '
                  f'{row.given - row.taken - row.cut:>5}')
        for way in (OUT, IN):
            rows = [row for (_, of), row in self.ledger.rows.items() if of == way]
            given, taken, cut = (sum(getattr(row, what) for row in rows) for what in ('given', 'taken', 'cut'))
            print(f'{"all":<18} {way:<16} {sum(row.links for row in rows):>7} {given:>14,} {taken:>14,} {cut:>10,} '
                  f'{given - taken - cut:>5}')
        print()
        for what, number in sorted(self.ledger.counts.items()):
            print(f'{what:<32} {number:>10,}')
        verdict = self.judge_memory()
        print(f'\n{"resident KiB":<14} {"10-20 %":>9} {"40-60 %":>9} {"90-100 %":>9} {"private dirty":>14} '
              f'{"descriptors":>12} {"at rest":>8} {"threads":>8} {"CPU s":>8}')
        for daemon in self.daemons:
            if not daemon.samples:
                continue
            cpu, descriptors, threads = self.cpu.get(daemon.name, (0, 0, 0))
            print(f'{daemon.name:<14} {daemon.median(1, 0.1, 0.2):>9.0f} {daemon.median(1, 0.4, 0.6):>9.0f} '
                  f'{daemon.median(1, 0.9, 1):>9.0f} {daemon.median(2, 0.1, 0.2):>6.0f}->{daemon.median(2, 0.9, 1):>6.0f} '
                  f'{descriptors:>12} {daemon.base or 0:>8} {threads:>8} {cpu:>8.1f}')
        print(f'({verdict})')

    def verdict(self, stopped):
        """The exit status."""
        lost = self.ledger.lost()
        for text in self.failures:
            print(f'\nFAILED: {text}')
        if self.failures or lost:
            print(f'\nsoak: FAILED after {self.ran:.0f} s{f", {lost} bytes lost" if lost else ""}; again: '
                  f'SOAK_SEED={self.seed} SOAK_SECONDS={self.seconds:.0f} SOAK_MODEMS={self.modems} make soak')
            return 1
        print(f'\nsoak: {"stopped" if stopped else "passed"} after {self.ran:.0f} s on {len(self.hosts)} modems, '
              f'seed {self.seed}: 0 bytes lost')
        return 0


def main():
    programs = [path for path in sys.argv[1:] if os.access(path, os.X_OK)]
    if not programs:
        print(__doc__, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix='espat-soak-') as folder:
        soak = Soak(programs[0], pathlib.Path(folder))
        print(f'soak: {soak.seconds:.0f} s, {soak.modems} modems on PTYs and {2 * max(1, soak.modems // 10)} on sockets, '
              f'seed {soak.seed}', flush=True)
        stopped = False
        try:
            soak.start()
            try:
                soak.watch()
            except KeyboardInterrupt:
                stopped = True
                print('soak: stopping', flush=True)
            soak.end()
            soak.table()
            return soak.verdict(stopped)
        finally:
            for daemon in soak.daemons:
                daemon.end()


if __name__ == '__main__':
    sys.exit(main())

# SPDX-License-Identifier: MIT
"""One run of the daemon in which one of its system calls fails (failing_calls.c), and the judgement of it."""

import collections
import contextlib
import errno
import itertools
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import modem

START_S = 10
# A fault may make c-ares ask a second time, or a client wait until the listener looks again.
PATIENCE_S = 12
# So long it may take from a line that ends to a process that has.
END_S = 0.5
# The daemon has come to rest when it used no more than this of the CPU within that time.
REST_NS, REST_WINDOW_S = 2_000_000, 0.005

Call = collections.namedtuple('Call', 'sign name fd caller')

# ---- what may fail, and how

SHORT = ('short', 'one')
# What others do meanwhile, the host above all, is done first.
LATE = ('late',)
BUSY = (errno.EINTR, errno.EAGAIN)
DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
DISK = (errno.EIO, errno.ENOSPC)
# What the program itself asks for; not what libraries do.
MEMORY = ('malloc', 'calloc', 'realloc', 'strdup')

# By function, or by function and what its descriptor is, which counts more. Only what Linux may say of it: a terminal's
# EIO, say, means that nobody has it open, and flags of a descriptor can always be had.
FAULTS = {
    'read/pipe': (errno.EINTR,),
    'read/terminal': BUSY + SHORT + LATE,
    'read/stream': BUSY + (errno.ENOMEM, errno.ECONNRESET) + SHORT,
    'read/file': (errno.EINTR, errno.EIO) + SHORT,
    'read/eventfd': BUSY,
    'read/inotify': BUSY + LATE,
    'readv/stream': BUSY + (errno.ENOMEM, errno.ECONNRESET) + SHORT,
    'recv/stream': BUSY + (errno.ENOMEM, errno.ECONNRESET) + SHORT,
    'recvfrom/stream': BUSY + (errno.ENOMEM, errno.ECONNRESET) + SHORT,
    'recv/datagram': BUSY + (errno.ENOMEM,),
    'recvfrom/datagram': BUSY + (errno.ENOMEM,),
    'recvmsg': BUSY + (errno.ENOMEM,),
    'recvfrom/raw': BUSY + (errno.ENOMEM,),
    'pread': (errno.EINTR, errno.EIO) + SHORT,
    'write/pipe': (errno.EINTR,),
    'write/stream': (errno.EINTR, errno.EPIPE) + SHORT,
    'write/eventfd': (errno.EINTR,),
    'write/file': (errno.EINTR,) + DISK + SHORT,
    'writev/terminal': BUSY + (errno.ENOMEM,) + SHORT,
    'writev/pipe': BUSY + (errno.EPIPE,) + SHORT,
    'writev/stream': BUSY + (errno.ENOMEM, errno.ENOBUFS, errno.EPIPE, errno.ECONNRESET) + SHORT,
    'send/stream': BUSY + (errno.ENOMEM, errno.ENOBUFS, errno.EPIPE, errno.ECONNRESET) + SHORT,
    'send/datagram': BUSY + (errno.ENOMEM, errno.ENOBUFS),
    'send/raw': (errno.EINTR, errno.ENOMEM, errno.ENOBUFS),
    'sendto/raw': (errno.EINTR, errno.ENOMEM, errno.ENOBUFS),
    'sendto/datagram': BUSY + (errno.ENOMEM, errno.ENOBUFS),
    'sendmsg/datagram': BUSY + (errno.ENOMEM, errno.ENOBUFS),
    'send/packet': BUSY + (errno.ENOMEM,),
    'sendmsg/packet': BUSY + (errno.ENOMEM,),
    'close': (errno.EINTR, errno.EIO),
    'open': (errno.EINTR,) + DESCRIPTORS,
    'openat': (errno.EINTR, errno.ENOSPC) + DESCRIPTORS,
    'fopen64': DESCRIPTORS,
    'fopen': DESCRIPTORS,
    'fdopendir': (errno.ENOMEM,),
    'fcntl': DESCRIPTORS,
    'dup': DESCRIPTORS,
    'fsync': (errno.EINTR,) + DISK,
    'ftruncate64': (errno.EINTR,) + DISK,
    'renameat': DISK + (errno.ENOMEM,),
    'rename': DISK + (errno.ENOMEM,),
    'symlink': DISK + (errno.ENOMEM,),
    'mkdir': DISK + (errno.ENOMEM,),
    'mkdirat': DISK + (errno.ENOMEM,),
    'unlink': (errno.EIO, errno.ENOMEM),
    'unlinkat': (errno.EIO, errno.ENOMEM),
    'access': (errno.ENOMEM,),
    'faccessat': (errno.ENOMEM,),
    'readlink': (errno.EIO, errno.ENOMEM),
    'stat': (errno.ENOMEM,),
    'lstat': (errno.ENOMEM,),
    'fstat': (errno.ENOMEM,),
    'fstatat': (errno.ENOMEM,),
    'flock': (errno.ENOLCK,),
    'socket': DESCRIPTORS + (errno.ENOBUFS,),
    'socketpair': DESCRIPTORS,
    'accept4': BUSY + DESCRIPTORS + (errno.ENOBUFS, errno.ECONNABORTED),
    'connect/stream': (errno.EINTR, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.ECONNREFUSED),
    'connect': (errno.ENOMEM, errno.EADDRNOTAVAIL, errno.ECONNREFUSED),
    'bind': (errno.EADDRINUSE, errno.ENOMEM),
    'listen': (errno.EADDRINUSE, errno.ENOMEM),
    'getsockname': (errno.ENOBUFS,),
    'getsockopt': (errno.ENOBUFS,),
    'setsockopt': (errno.ENOMEM, errno.ENOBUFS),
    'shutdown': (errno.ENOTCONN,),
    'ioctl': (errno.ENOMEM,),
    'tcflush': LATE,
    'tcgetattr': (),
    'tcsetattr': (errno.EINTR,) + LATE,
    'posix_openpt': DESCRIPTORS + (errno.ENOSPC,),
    'grantpt': (errno.ENOMEM,),
    'unlockpt': (errno.ENOMEM,),
    'ptsname_r': (errno.ENOMEM,),
    'inotify_init1': DESCRIPTORS,
    'inotify_add_watch': (errno.ENOMEM, errno.ENOSPC),
    'epoll_create1': DESCRIPTORS,
    'epoll_ctl': (errno.ENOMEM, errno.ENOSPC),
    'epoll_wait': (errno.EINTR,) + LATE,
    'epoll_pwait': (errno.EINTR,),
    'poll': (errno.EINTR, errno.ENOMEM) + LATE,
    'pipe2': DESCRIPTORS,
    'eventfd': DESCRIPTORS,
    'signalfd': DESCRIPTORS,
    'memfd_create': DESCRIPTORS,
    'mmap': (errno.ENOMEM,),
    'fork': (errno.EAGAIN, errno.ENOMEM),
    'dup2': (errno.EMFILE,),
    'execvp': (errno.ENOMEM, errno.EACCES),
    'child:open': DESCRIPTORS,
    'waitpid': (errno.EINTR,),
    'getifaddrs': (errno.ENOMEM, errno.EMFILE),
    'if_nametoindex': (errno.EMFILE,),
    'pthread_create': (errno.EAGAIN,),
    **dict.fromkeys(MEMORY, (errno.ENOMEM,)),
}

# These must not be seen by anybody: the call is made again, or the rest is read or written.
INVISIBLE = {errno.EINTR, errno.EAGAIN, *SHORT, *LATE}

# But these are seen. (call, caller): why.
SEEN = {
    ('fork', 'libuv'): 'EAGAIN is no more than a limit: there are too many processes',
    ('connect/stream', 'libcurl'): 'its sockets do not block, and so no signal interrupts a connect',
}

# The host's line is gone. Where no other host can come, the daemon ends, and says why.
GONE = (errno.EPIPE, errno.ECONNRESET)

# Where libuv ends the process itself: its code has no way to tell us. (call, caller): why.
ABORTS = {
    ('pipe2', 'libuv'): 'the first uv_loop_init makes the pipe that guards its signals, and aborts when it cannot',
    ('epoll_ctl', 'libuv'): 'uv__io_poll adds to epoll what uv_poll_init could add a moment before, and aborts when it cannot',
    ('pthread_create', 'libuv'): 'the first uv_queue_work starts the worker, and aborts when it cannot',
}


def faults_of(name):
    """What the call is made to do, in turn."""
    by_kind = name.removeprefix('child:')
    found = next((FAULTS[key] for key in (name, name.split('/')[0], by_kind, by_kind.split('/')[0]) if key in FAULTS), None)
    assert found is not None, f'{name}: it is not said how this call may fail (FAULTS)'
    return found


def name_of(how):
    return errno.errorcode.get(how, str(how))


Fault = collections.namedtuple('Fault', 'call k how')


# A call that is made over and over in a row fails at the first of them and at the last, of each so many.
ENDS_OF_ROW = 4


def plan(calls, first):
    """Every fault of a run that made these calls, but for those before the `first`, and those within a long row."""
    counts, found = collections.Counter(), []
    for place, row in itertools.groupby(enumerate(calls), lambda made: (made[1].name, made[1].caller)):
        row = [number for number, _ in row]
        inner = set(row[ENDS_OF_ROW:-ENDS_OF_ROW])
        for number in row:
            counts[place[0]] += 1
            if number >= first and number not in inner:
                found.append((place[0], counts[place[0]]))
    return sorted((Fault(name, k, how) for name, k in found for how in faults_of(name)), key=str)


# ---- the host

class Trouble(AssertionError):
    """The modem said that something went wrong: ERROR, SEND FAIL, or a link that closed."""


class Cut(AssertionError):
    """The line to the host ended."""


class Host(modem.Modem):
    """Keeps what came: lines in their order, payloads by link."""

    def __init__(self, *args):
        super().__init__(*args)
        self.lines = []
        self.payload = collections.defaultdict(bytearray)
        for link in range(5):
            self.sinks[link] = self.payload[link].extend

    def read(self, timeout):
        if super().read(timeout):
            return True
        if self.at_end:
            raise Cut(f'behind {self.lines[-5:]}')
        return False

    def _next(self):
        line = super()._next()
        if line is not None:
            self.lines.append(line)
        return line

    def expect(self, *wanted):
        """Records up to and with one of `wanted`."""
        seen = []
        while True:
            seen.append(self.record(PATIENCE_S))
            if seen[-1] in wanted:
                return seen
            if seen[-1] in (b'ERROR', b'SEND FAIL') or seen[-1].endswith(b'CLOSED'):
                raise Trouble(f'{wanted}: {seen}')

    def do(self, line, *more):
        """A command that must be answered OK, and by the lines `more` wherever they come."""
        self.write(line.encode() + b'\r\n')
        seen = self.expect(b'OK')
        for wanted in more:
            if wanted not in seen:
                self.expect(wanted)

    def hang_up(self):
        """AT+CIPCLOSE, which is answered CLOSED and OK."""
        self.write(b'AT+CIPCLOSE\r\n')
        while self.record(PATIENCE_S) != b'OK':
            if self.lines[-1] == b'ERROR':
                raise Trouble('it closed before')

    def give(self, data, link=None):
        """One AT+CIPSEND."""
        self.write(b'AT+CIPSEND=%d\r\n' % len(data) if link is None else b'AT+CIPSEND=%d,%d\r\n' % (link, len(data)))
        self.expect(b'>')
        self.write(data)
        self.expect(b'SEND OK')

    def hear(self, link, count):
        """Until so many bytes of payload came on this link."""
        end = time.monotonic() + PATIENCE_S
        while len(self.payload[link]) < count:
            line = self._next()
            if line is not None:
                if line.endswith(b'CLOSED'):
                    raise Trouble(f'{line} with {len(self.payload[link])} of {count} bytes')
                self._lines.append(line)
            elif len(self.payload[link]) < count and not self.read(end - time.monotonic()):
                if time.monotonic() >= end:
                    raise modem.Late(f'{len(self.payload[link])} of {count} bytes on link {link}')

    def listen(self, count):
        """Until so many bytes wait in `pending`, in passthrough."""
        end = time.monotonic() + PATIENCE_S
        while len(self.pending) < count:
            if not self.read(end - time.monotonic()) and time.monotonic() >= end:
                raise modem.Late(f'{len(self.pending)} of {count} bytes in passthrough')


def open_socket(address):
    s = socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX)
    s.connect(address if isinstance(address, tuple) else str(address))
    return Host(s.fileno(), s.fileno(), s.close)


def open_host(path):
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    return Host(fd, fd, lambda: os.close(fd))


# ---- the run

class Run:
    """A daemon and what a scenario does with it. Everything it leaves lies in `folder`."""

    def __init__(self, torturer, scenario, folder, fault=None):
        self.folder, self.scenario, self.fault = folder, scenario, fault
        self.link, self.state = folder / 'modem', folder / 'state'
        self.torturer = torturer
        self.host = None
        self.trouble = None
        self.lines = []          # of every host, with the payloads behind them
        self.checks = []         # what must hold at the end, whatever happened, if the daemon still runs
        self.afterwards = []     # what must hold when it has ended, however it did
        self.stack = contextlib.ExitStack()
        self.log = folder / 'calls'
        self.process = None
        self.aborted = self.refused = self.recovered = self.gone = False
        self.reopen = lambda: open_host(self.link)
        self.victim = None       # the program whose calls fail, if not the daemon's
        self.only_host = False   # no other one can come
        self.spare = 0           # descriptors that it can do without
        self.ready_text = 'try: '
        self.messages = ('1', '2')  # descriptors on which it writes for a person
        self.end = lambda: self.process.send_signal(signal.SIGTERM)

    # -- for scenarios

    def start(self, *args, link=True, stdin=subprocess.DEVNULL, stdout=None):
        env = {**os.environ, 'FAILING_CALLS_LOG': str(self.log),
               'ASAN_OPTIONS': 'verify_asan_link_order=0:' + os.environ.get('ASAN_OPTIONS', '')}
        if self.fault:
            env['FAILING_CALLS'] = f'{self.fault.call} {self.fault.k} {self.fault.how}'
        if self.victim:
            env['FAILING_CALLS_IN'] = self.victim
        # The daemon does not outlive us, however we end: it might be a modem in passthrough, which would knock at its far
        # side's port for ever. What sets that up is not tortured.
        begun_by = ['setpriv', '--pdeathsig', 'KILL', 'env', f'LD_PRELOAD={self.torturer.library}']
        transport = [f'--pty={self.link}'] if link else []
        with open(self.folder / 'out', 'wb') as out, open(self.folder / 'err', 'wb') as err:
            self.process = subprocess.Popen(
                [*begun_by, self.torturer.program, *transport, '--state', self.state, *map(str, args)],
                stdin=stdin, stdout=stdout or out, stderr=err, env=env)
        return self.process

    def wait_until(self, condition, what, seconds=START_S):
        """False: the daemon ended before."""
        end = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None:
                return False
            if time.monotonic() > end:
                raise modem.Late(f'{what}: not within {seconds} s')
            time.sleep(0.0005)
        return True

    def answers(self):
        """Somebody can come in."""
        try:
            self.reopen().close()
        except OSError:
            return False
        return True

    def is_ready(self):
        """It says that it is, or would if it could. False: it refused to start."""
        def said():
            return (self.ready_text in self.out() or self.ready_text in self.all_err() or
                    (hits_messages(self) and self.answers()))
        return self.wait_until(said, 'the modem')

    def open(self):
        """A host on the PTY, without echo. None: the daemon refused to start."""
        if not self.is_ready():
            return None
        self.attach(self.reopen())
        self.host.do('ATE0')
        return self.host

    def attach(self, host):
        self.host = host

    def detach(self):
        if self.host:
            # When the station joins is a matter of time.
            self.lines += [line for line in self.host.lines if not line.startswith(b'WIFI ')]
            self.lines += [(link, bytes(data)) for link, data in sorted(self.host.payload.items()) if data]
            self.host.close()
            self.host = None

    def out(self):
        return (self.folder / 'out').read_text(errors='replace')

    def all_err(self):
        return (self.folder / 'err').read_text(errors='replace')

    def err(self):
        """Without what is said of a modem on standard input and output: that it is there."""
        return re.sub(r'^espat \d\S*: modem on .*\n', '', self.all_err(), flags=re.M)

    def calls(self):
        if not self.log.exists():
            return []
        # The last line of a process that was killed may be cut.
        return [Call(*found) for found in re.findall(r'^([ !=]) (\S+) (\S+) (\S+)\n', self.log.read_text(), re.M)]

    def struck(self):
        return next((call for call in self.calls() if call.sign in '!='), None)

    def next(self, *args):
        """The host of another daemon, which begins with what this one left, and of which nothing fails."""
        folder = self.folder / 'next'
        folder.mkdir()
        run = Run(self.torturer, self.scenario, folder)
        run.state = self.state
        self.stack.callback(run.close)
        run.start(*args)
        assert run.open(), f'the next one does not start: {run.err()}'
        assert run.err() == '', f'the next one says: {run.err()}'
        return run.host

    # -- the end

    def rests(self):
        """It uses no CPU."""
        def used():
            return int(pathlib.Path(f'/proc/{self.process.pid}/schedstat').read_text().split()[0])
        before = used()
        time.sleep(REST_WINDOW_S)
        return used() - before < REST_NS

    def descriptors(self):
        return len(os.listdir(f'/proc/{self.process.pid}/fd'))

    def children(self):
        return pathlib.Path(f'/proc/{self.process.pid}/task/{self.process.pid}/children').read_text().split()

    def recover(self):
        """A host that comes anew gets its answers, and after AT+RST the modem is as if nothing had been."""
        self.detach()
        with self.reopen() as host:
            end = time.monotonic() + 25
            while b'ready' not in host.lines:
                assert time.monotonic() < end, f'it does not restart: {host.lines[-5:]}'
                host.write(b'AT+RST\r\n')
                # It may be busy, or wait for data that will not come: +++ leaves that.
                with contextlib.suppress(modem.Late):
                    host.wait_for(b'ready', b'busy p...', timeout=1)
                    time.sleep(0.01)
                    continue
                time.sleep(modem.GUARD_S)
                host.write(b'+++')
                time.sleep(modem.GUARD_S)
            host.write(b'AT\r\n')
            host.wait_for(b'OK')

    def where(self):
        """What was struck: function and line of the caller, for our own code."""
        call = self.struck()
        if not call:
            return 'not reached'
        found = re.fullmatch(r'(.+)\+(0x[0-9a-f]+)', call.caller)
        program = pathlib.Path(self.torturer.program)
        if self.victim:
            program = program.with_name(self.victim)
        if not found or found[1] != program.name:
            return call.caller
        done = subprocess.run(['addr2line', '-f', '-s', '-e', str(program), hex(int(found[2], 16) - 1)],
                              capture_output=True, text=True, check=False)
        return ' '.join(done.stdout.split()) or call.caller

    def forget(self):
        shutil.rmtree(self.folder)

    def close(self):
        self.detach()
        self.stack.close()
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Torturer:
    """Plays scenarios."""

    def __init__(self, program, library, folder):
        self.program, self.library, self.folder = program, library, folder
        self.number = 0
        self.places_of_memory = set()  # that were played

    def run(self, scenario, fault=None):
        self.number += 1
        folder = self.folder / f'{scenario.__name__}.{self.number}'
        folder.mkdir()
        return Run(self, scenario, folder, fault)

    def play(self, scenario, fault=None, clean=None):
        """One run; (run, what is wrong with it or None)."""
        run = self.run(scenario, fault)
        try:
            wrong = judge(run, clean)
            for check in run.afterwards if not wrong else ():
                check()
        except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
            wrong = f'{type(error).__name__}: {error}'
        finally:
            run.close()
        return run, wrong


def judge(run, clean):
    """Plays the scenario; None, or what is wrong."""
    parts = [lambda: run.scenario(run), run.recover]
    if run.fault and run.fault.how not in INVISIBLE:
        parts.append(run.recover)  # its line may be the one that was cut
    for part in parts:
        try:
            if run.process is None or run.process.poll() is None:
                part()
                run.recovered = part == run.recover
        except Trouble as trouble:
            run.trouble = str(trouble)
        except (Cut, OSError) as trouble:
            run.trouble = str(trouble)
            with contextlib.suppress(subprocess.TimeoutExpired):
                run.process.wait(END_S)
        if run.recovered:
            break
    ended = run.process.poll()
    if ended is None and not run.recovered:
        return f'no new host is answered: {run.trouble}'
    if ended is not None and (clean or ended != 0):
        return judge_end(run, ended)
    deadline = time.monotonic() + 5
    while not run.rests():
        if time.monotonic() > deadline:
            return 'it does not come to rest'
    try:
        for check in run.checks:
            check()
    except (Cut, OSError):
        with contextlib.suppress(subprocess.TimeoutExpired):
            return judge_end(run, run.process.wait(END_S))
        raise
    run.left = run.descriptors()
    while clean and not clean.left - run.spare <= run.left <= clean.left and time.monotonic() < deadline:
        time.sleep(0.002)
        run.left = run.descriptors()
    if clean and not clean.left - run.spare <= run.left <= clean.left:
        return f'{run.left} descriptors are open, {clean.left} in a clean run'
    try:
        run.end()
    except (Trouble, Cut, OSError) as trouble:
        run.trouble = str(trouble)
    try:
        status = run.process.wait(START_S)
    except subprocess.TimeoutExpired:
        return 'it does not end when it is told to'
    if clean and status != 0:
        return judge_end(run, status)
    return judge_rest(run, clean, status)


def struck_in(run, places):
    """The call that was struck is one of these (call, caller)."""
    struck = run.struck()
    return struck is not None and any(struck.name == call and struck.caller.startswith(caller) for call, caller in places)


def hits_messages(run):
    """The call that was struck was to write for a person."""
    struck = run.struck()
    return struck is not None and struck.fd in run.messages


def judge_end(run, status):
    """It ended by itself."""
    err = run.err()
    if status == -signal.SIGABRT and 'Sanitizer' not in err and struck_in(run, ABORTS):
        run.aborted = True
        return None
    lines = err.splitlines()
    if status in (1, 2) and run.host is None and not run.lines and (hits_messages(run) or len(lines) == 1):
        if all(line.startswith('espat: ') for line in lines):
            run.refused = True
            return None
    if status == 1 and run.only_host and run.fault.how in GONE and len(lines) == 1 and ' is gone' in err:
        run.gone = True
        return None
    return f'it ended with {status}: {err}'


def judge_rest(run, clean, status):
    """It was told to end."""
    err = run.err()
    if status != 0:
        return f'its exit status is {status}: {err}'
    if not all(line.startswith('espat: ') for line in err.splitlines()) and not hits_messages(run):
        return f'stderr: {err}'
    if not clean and run.trouble:
        return run.trouble
    if clean and run.fault.how in INVISIBLE and not struck_in(run, SEEN):
        if run.trouble:
            return f'{name_of(run.fault.how)} is seen: {run.trouble}'
        if run.lines != clean.lines:
            return f'{name_of(run.fault.how)} is seen: {differences(clean.lines, run.lines)}'
        if err:
            return f'{name_of(run.fault.how)} is seen: {err}'
    if os.path.lexists(run.link) and not (run.fault and run.fault.call in ('unlink', 'readlink', 'lstat')):
        return 'the link is left behind'
    return None


def differences(wanted, found):
    at = next((i for i, (a, b) in enumerate(zip(wanted, found)) if a != b), min(len(wanted), len(found)))
    return f'record {at}: {found[at:at + 3]} where {wanted[at:at + 3]} belongs'

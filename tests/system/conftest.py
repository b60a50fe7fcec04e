# SPDX-License-Identifier: MIT
"""The daemon under test is named by ESPAT; ESPAT_RELEASE names one without sanitizers, for what only it can show."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import time

import pytest

import authority
import modem
import namespaces
import servers
import torture
import update_server

START_S = 15 * modem.SLOWER


class Daemon:
    """One process of the daemon. Its ends are read by threads, so that it never waits for us."""

    def __init__(self, program, args, env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE):
        self.args = args
        begun_by = list(program) if isinstance(program, (list, tuple)) else [program]
        self.process = subprocess.Popen([*begun_by, *map(str, args)], stdin=stdin, stdout=stdout,
                                        stderr=subprocess.PIPE, env=env)
        self.pid = self.process.pid
        self.out, self.err = bytearray(), bytearray()
        self._readers = [threading.Thread(target=self._read, args=(self.process.stderr, self.err), daemon=True)]
        self._owns_stdout = stdout == subprocess.PIPE and stdin == subprocess.DEVNULL
        if self._owns_stdout:
            self._readers.append(
                threading.Thread(target=self._read, args=(self.process.stdout, self.out), daemon=True))
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(pipe, into):
        while True:
            piece = os.read(pipe.fileno(), 65536)
            if not piece:
                return
            into += piece

    def wait_until(self, condition, what, timeout=START_S):
        end = time.monotonic() + timeout
        while not condition():
            assert self.process.poll() is None, f'espat ended with {self.process.poll()}: {self.err.decode(errors="replace")}'
            assert time.monotonic() < end, f'{what}: not within {timeout} s; {self.err.decode(errors="replace")}'
            time.sleep(0.002)

    def sleeps(self):
        """It has nothing more to do, and waits."""
        return pathlib.Path(f'/proc/{self.pid}/stat').read_text().rsplit(')', 1)[1].split()[0] == 'S'

    def descriptors(self):
        return len(os.listdir(f'/proc/{self.pid}/fd'))

    def resident_kib(self):
        for line in pathlib.Path(f'/proc/{self.pid}/status').read_text().splitlines():
            if line.startswith('VmRSS'):
                return int(line.split()[1])
        raise AssertionError('no VmRSS')

    def wait(self, timeout=START_S):
        """Its exit status, when all it wrote is in `out` and `err`."""
        status = self.process.wait(timeout)
        for reader in self._readers:
            reader.join(timeout)
        return status

    def end(self, sig=signal.SIGTERM, timeout=START_S):
        self.process.send_signal(sig)
        return self.wait(timeout)

    def close(self):
        """Ends it when it still runs. Its sanitizers' word counts for every test."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.wait()
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.wait()
                pytest.fail(f'espat {self.args} did not end on SIGTERM; {self.err.decode(errors="replace")}')
        for pipe in (self.process.stdout, self.process.stdin):
            if pipe:
                pipe.close()
        text = self.err.decode(errors='replace')
        assert 'Sanitizer' not in text and 'runtime error' not in text, text


@pytest.fixture(scope='session')
def program():
    path = os.environ.get('ESPAT')
    if not path or not os.access(path, os.X_OK):
        pytest.exit('ESPAT must name the daemon to test', 2)
    return path


@pytest.fixture
def folder(tmp_path):
    return tmp_path


@pytest.fixture
def start(program, folder):
    """start(args...): a daemon, without waiting for anything; env={...} is added to its environment."""
    daemons = []
    own = {**os.environ, 'XDG_STATE_HOME': str(folder / 'xdg'), 'HOME': str(folder)}

    def begin(*args, program=program, env=None, **more):
        daemons.append(Daemon(program, args, {**own, **(env or {})}, **more))
        return daemons[-1]

    yield begin
    for daemon in daemons:
        daemon.close()


@pytest.fixture
def start_pty(start, folder):
    """start_pty(args...): a daemon with its PTY at daemon.link, which is there."""

    def begin(*args, link='modem', state=False, wait_for=None, **more):
        path = folder / link
        state_args = [] if state else ['--no-state']
        daemon = start(f'--pty={path}', *state_args, *args, **more)
        daemon.link = path
        there = folder / (wait_for or link)
        daemon.wait_until(lambda: os.path.exists(there), f'{there} appears')
        return daemon

    return begin


@pytest.fixture
def host(start_pty):
    """A modem on a PTY, joined, without echo."""
    with modem.open_port(start_pty().link) as port:
        yield port.prepare()


@pytest.fixture
def release():
    """The daemon without sanitizers: for its memory, and for what takes too long with them."""
    path = os.environ.get('ESPAT_RELEASE', '')
    if not os.access(path, os.X_OK):
        pytest.skip('ESPAT_RELEASE names no build without sanitizers: "make test" builds it')
    return path


@pytest.fixture
def open_modem(start_pty):
    """open_modem(args...): a daemon with these options, and its modem prepared; the daemon is its `.daemon`."""
    ports = []

    def begin(*args, mux=False, **more):
        daemon = start_pty(*args, **more)
        ports.append(modem.open_port(daemon.link))
        ports[-1].daemon = daemon
        return ports[-1].prepare(mux)

    yield begin
    for port in ports:
        port.close()


@pytest.fixture
def run(folder):
    """run(words...): another program that is ended afterwards; its output goes to a file. Without it the test is skipped."""
    processes = []

    def begin(name, *words):
        path = shutil.which(name, path=os.environ.get('PATH', '') + ':/usr/sbin:/sbin')
        if not path:
            pytest.skip(f'{name} is not installed: see tools/install-deps')
        with open(folder / f'{name}.log', 'ab') as log:
            processes.append(subprocess.Popen([path, *map(str, words)], stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        processes[-1].log = folder / f'{name}.log'
        return processes[-1]

    yield begin
    for process in processes:
        process.terminate()
        try:
            process.wait(START_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def wire():
    """Two network namespaces with a cable between them."""
    made = namespaces.Wire()
    yield made
    made.close()


@pytest.fixture
def udp_peer():
    """udp_peer(port): a UDP socket on 127.0.0.1."""
    sockets = []

    def begin(port=0):
        sockets.append(servers.udp_socket(port=port))
        return sockets[-1]

    yield begin
    for s in sockets:
        s.close()


@pytest.fixture
def serve_udp():
    """serve_udp(answer, ...): a UdpServer that is closed at the end."""
    running = []

    def begin(answer, **more):
        running.append(servers.UdpServer(answer, **more))
        return running[-1]

    yield begin
    for server in running:
        server.close()


@pytest.fixture
def serve():
    """serve(what, ...): a TcpServer that is closed at the end."""
    running = []

    def begin(what, **more):
        running.append(servers.TcpServer(what, **more))
        return running[-1]

    yield begin
    for server in running:
        server.close()


@pytest.fixture(scope='session')
def pki(tmp_path_factory):
    return authority.Authority(tmp_path_factory.mktemp('pki'))


@pytest.fixture(scope='module')
def torturer(program, pki, signer, tmp_path_factory):
    library = os.environ.get('ESPAT_FAILING_CALLS')
    assert library, 'ESPAT_FAILING_CALLS must name the module that is made of failing_calls.c'
    made = torture.Torturer(program, library, tmp_path_factory.mktemp('torture'))
    made.pki, made.signer = pki, signer
    return made


@pytest.fixture
def state(folder):
    return folder / 'state'


@pytest.fixture(scope='session')
def signer(tmp_path_factory):
    """Whose images are taken, and below whose are not."""
    return update_server.Signer(tmp_path_factory.mktemp('signer'))


@pytest.fixture(scope='session')
def stranger(tmp_path_factory):
    return update_server.Signer(tmp_path_factory.mktemp('stranger'))


@pytest.fixture
def tls_state(folder, pki):
    """A state folder with certificates: those of index 1 are a stranger's."""
    return pki.install(folder / 'state', client_ca_0='root', client_ca_1='stranger', client_cert_0='client',
                       client_key_0='client', client_cert_1='strange-client', client_key_1='strange-client',
                       server_cert_0='server', server_key_0='server', server_ca_0='root')


@pytest.fixture
def start_tls(start_pty, tls_state):
    """start_tls(args...): a modem with these certificates (or those `at`), a trace and a host; its daemon is .daemon."""
    with contextlib.ExitStack() as ports:
        def begin(*args, trace=True, mux=False, at=tls_state, **more):
            daemon = start_pty('--state', at, *(['--trace'] if trace else []), *args, state=True, **more)
            port = ports.enter_context(modem.open_port(daemon.link))
            port.daemon = daemon
            return port.prepare(mux)
        yield begin


@pytest.fixture
def web():
    server = servers.HttpServer()
    yield server
    server.close()


@pytest.fixture(scope='session')
def root():
    return pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def figure(record_property, capsys):
    """figure(text): says what was measured, also when the test passes."""

    def say(text):
        record_property('figure', text)
        with capsys.disabled():
            print(f'\n    {text}', flush=True)

    return say


LIMIT_S = 60 * modem.SLOWER


def pytest_configure(config):
    for number in signal.SIGINT, signal.SIGHUP:  # whoever began us may ignore them, and a modem would, too
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    config.addinivalue_line('markers', f'limit(seconds): the test may run so long, in place of {LIMIT_S} s')
    config.addinivalue_line('markers', 'torture: the daemon with failing_calls.c in it')


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """No test runs longer, whatever it waits for."""
    mark = item.get_closest_marker('limit')
    seconds = mark.args[0] * modem.SLOWER if mark else LIMIT_S

    def late(*_):
        raise modem.Late(f'the test took longer than {seconds} s')

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)

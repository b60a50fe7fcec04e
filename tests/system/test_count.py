# SPDX-License-Identifier: MIT
"""Many modems in one process, and the limits of the system that they meet."""

import contextlib
import os
import re
import shutil
import subprocess

import pytest

import modem
import servers


def limited(program, soft, hard):
    """The daemon with these limits of descriptors."""
    path = shutil.which('prlimit')
    if not path:
        pytest.skip('prlimit is not installed (util-linux)')
    return [path, f'--nofile={soft}:{hard}', program]


def at_all(folder, count, what):
    """Does it with one open port after the other, all open at once."""
    with contextlib.ExitStack() as ports:
        for i in range(count):
            what(ports.enter_context(modem.open_port(folder / str(i))))


def test_soft_limit_is_raised(start_pty, folder, serve, program):
    """20 modems with a link each hold more than twice the descriptors that the process was started with."""
    server = serve(servers.echo)

    def connect(port):
        port.prepare()
        port.connect('127.0.0.1', server.port)

    daemon = start_pty('--count', 20, link='%d', wait_for='19', program=limited(program, 24, 1000))
    at_all(folder, 20, connect)
    assert daemon.err == b''


def test_hard_limit_is_too_low_to_start(start, folder, program):
    """Status 1, and one line that says how many it takes."""
    daemon = start(f'--pty={folder}/%d', '--no-state', '--count', 100, program=limited(program, 24, 64))
    assert daemon.wait() == 1
    assert daemon.err.count(b'\n') == 1 and daemon.out == b'', daemon.err
    least = int(re.search(rb'--count 100 needs at least (\d+) descriptors, and 64 are allowed', daemon.err)[1])
    assert b'ulimit' in daemon.err
    assert list(folder.iterdir()) == []

    # It is as it says.
    daemon = start(f'--pty={folder}/%d', '--no-state', '--count', 100, program=limited(program, 24, least))
    daemon.wait_until(lambda: os.path.exists(folder / '99'), 'the last modem')
    assert daemon.end() == 0


def test_hard_limit_is_too_low_for_all_links(start_pty, folder, serve, program):
    """It starts and says so; a link that finds no descriptor is refused, and the modem lives on."""
    server = serve(servers.echo)
    daemon = start_pty('--count', 8, link='%d', wait_for='7', program=limited(program, 24, 32))
    daemon.wait_until(lambda: b'\n' in daemon.err, 'the line about descriptors')
    refused = []

    def connect(port):
        port.prepare(mux=True)
        for link in range(5):
            answer = port.ask(f'AT+CIPSTART={link},"TCP","127.0.0.1",{server.port}')
            assert answer[-1] in (b'OK', b'ERROR'), answer
            refused.append(answer[-1] == b'ERROR')
        port.command('AT')

    at_all(folder, 8, connect)
    assert True in refused and False in refused
    assert daemon.err.startswith(b'espat: 32 descriptors are allowed, and --count 8 with all links open needs ')
    assert daemon.err.count(b'\n') == 1, daemon.err


def test_no_terminal_is_left(start, program):
    """kernel.pty.max, tried where the system's own terminals are not touched."""
    words = ['unshare', '-rm', 'sh', '-c', 'mount -t devpts -o newinstance,ptmxmode=0666,max=3 devpts /dev/pts && '
             'mount --bind /dev/pts/ptmx /dev/ptmx && exec "$@"', 'sh']
    try:
        able = subprocess.run([*words, 'true'], capture_output=True, check=False, timeout=10).returncode == 0
    except FileNotFoundError:
        able = False
    if not able:
        pytest.skip('this user may not make a mount namespace')
    daemon = start('--pty', '--no-state', '--count', 4, program=[*words, program])
    assert daemon.wait() == 1
    assert b'kernel.pty.max' in daemon.err and daemon.err.count(b'\n') == 1, daemon.err


def test_a_host_comes_and_goes_at_each(start_pty, folder):
    """Who opened which one is told apart: what one modem says is for its own host, and none is left out."""
    count = 30
    daemon = start_pty('--count', count, '--reset-on-open', link='%d', wait_for=str(count - 1))
    with contextlib.ExitStack() as opened:
        ports = [opened.enter_context(modem.open_plain(folder / str(i))) for i in range(count)]
        for port in ports:
            port.wait_for(b'ready')
    for i in (count - 1, 0, count // 2):
        with modem.open_plain(folder / str(i)) as port:
            port.wait_for(b'ready')
    assert daemon.err == b''

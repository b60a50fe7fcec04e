# SPDX-License-Identifier: MIT
"""The session of README.md, typed as it stands there."""

import functools
import http.server
import re
import threading

import pytest

import modem

PORT = '8000'


@pytest.fixture
def session(root):
    """The lines of the block that the README's comment speaks of."""
    readme = root / 'README.md'
    if not readme.exists():
        pytest.skip('there is no README.md')
    block = re.search(r'<!-- The tests play this.*?-->\s*```console\n(.*?)```', readme.read_text(), re.S)
    assert block, 'README.md holds no session for the tests'
    return block[1].splitlines()


def steps(lines):
    """[what is typed or None, bytes that come back after it]: "> text" is typed, and a lone ">" right below it is Enter
    alone; a lone ">" elsewhere is the prompt, behind which no CR LF comes before the data does."""
    found = [[None, b'']]
    owed = b''
    typed = False
    for line in lines:
        if line.startswith('> ') or (line == '>' and typed):
            found.append([line[2:], b''])
            typed = True
            continue
        found[-1][1] += owed + line.encode()
        owed = b'\r\n'
        typed = False
        if line != '>':
            found[-1][1] += owed
            owed = b''
    return found


@pytest.fixture
def web(folder):
    """What the README's second terminal runs."""
    (folder / 'web').mkdir()
    (folder / 'web' / 'hello.txt').write_text('Hello!')

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=folder / 'web'))
    threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.05}, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize('how', ['line by line', 'key by key'])
def test_session(start_pty, session, web, how):
    play = steps(session)
    assert len(play) > 5 and any(PORT in (typed or '') for typed, _ in play), play
    with modem.open_port(start_pty().link) as port:
        for typed, back in play:
            if typed is not None:
                data = typed.replace(PORT, str(web)).encode() + b'\r\n'
                # A terminal program writes each key by itself, and CR LF for Enter.
                keys = [data] if how == 'line by line' else [data[i:i + 1] for i in range(len(data) - 2)] + [b'\r\n']
                for key in keys:
                    port.write(key)
            if back:
                assert port.take(len(back)) == back, f'after {typed!r}'
        assert port.quiet(0.2) == b''

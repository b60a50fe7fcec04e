# SPDX-License-Identifier: MIT
"""Bad input: whatever a host writes, the modem answers AT after it. Failures print their seed; ESPAT_SEED takes it back."""

import hashlib
import os
import random
import re
import select
import time

import pytest

import modem
import servers

SEED = int(os.environ.get('ESPAT_SEED', '0')) or int.from_bytes(os.urandom(4), 'big')


def answers(port):
    """What stands half typed is ended, and after that AT is answered OK."""
    port.write(b'\r\n')
    port.quiet(0.05)
    port.command('ATE0')
    assert port.command('AT') == []
    assert port.command('AT+CIPMUX?') == [b'+CIPMUX:0']


@pytest.fixture
def port(start_pty):
    with modem.open_port(start_pty().link) as port:
        port.command('ATE0')
        yield port


def test_every_byte_value(port):
    """Through a raw terminal too nothing is swallowed or translated."""
    for value in range(256):
        port.write(b'AT' + bytes([value]) + b'\r\n')
        answer = port.wait_for(b'OK', b'ERROR')
        assert answer == [b'ERROR'], f'byte {value}: {answer}'
    answers(port)


def test_echo_gives_back_every_byte(port):
    port.command('ATE1')
    values = bytes(v for v in range(1, 256) if v not in b'\r\n')
    port.write(values + b'\r\n')
    assert port.take_until(b'\r\nERROR\r\n') == values + b'\r\n\r\nERROR\r\n'


def test_echo_of_a_flood_that_nobody_reads(port):
    """The modem stops taking when its echo finds no room; what it took comes back whole."""
    port.command('ATE1')
    port.quiet(0.05)
    flood = bytes(v for v in range(1, 256) if v not in b'\r\n') * 8000
    taken, end = 0, time.monotonic() + 20
    while taken < len(flood) and time.monotonic() < end:
        if not select.select([], [port.writing], [], 0.3)[1]:
            break
        try:
            taken += os.write(port.writing, flood[taken:taken + 4000])
        except BlockingIOError:
            pass
    assert 0 < taken < len(flood), 'the modem took without end'
    echoed = port.take(taken, timeout=20)
    assert echoed == flood[:taken]
    port.write(b'\r\n')
    assert port.take_until(b'ERROR\r\n') == b'\r\n\r\nERROR\r\n'
    answers(port)


@pytest.mark.parametrize('size', [255, 256, 257, 258, 1000, 5000, 100000])
def test_long_lines(port, size):
    """A line is 256 bytes with its CR LF at most; a longer one is refused whole, with one answer."""
    line = b'AT+' + b'X' * (size - 5) + b'\r\n'
    assert len(line) == size
    port.write(line)
    text = port.take_until(b'ERROR\r\n')
    assert text == b'\r\nERROR\r\n'
    assert port.quiet(0.1) == b''
    answers(port)


def test_line_without_end(port):
    """A megabyte without CR LF costs no memory and no answer."""
    port.write(b'A' * (1 << 20), timeout=20)
    assert port.quiet(0.2) == b''
    port.write(b'\r\n')
    assert port.wait_for(b'ERROR', b'OK') == [b'ERROR']
    answers(port)


@pytest.mark.parametrize('half', [b'A', b'AT', b'AT+', b'AT+CIPSTART="TCP","127', b'AT+CWJAP="', b'\r', b'AT\r',
                                  b'\xff\xfe', b'AT+CIPSEND='])
def test_half_commands(port, half):
    port.write(half)
    assert port.quiet(0.1) == b''
    port.write(b'\x00')  # throws away what was typed
    assert port.quiet(0.05) == b''
    assert port.command('AT') == []
    answers(port)


def test_ten_commands_in_one_write(port):
    """The first runs, the rest of the read is dropped and said to be."""
    port.write(b'AT+CIPMUX?\r\n' * 10)
    text = port.quiet(0.2)
    rest = re.sub(rb'\+CIPMUX:0\r\n\r\nOK\r\n|\r\nbusy p\.\.\.\r\n|\r\nERROR\r\n', b'', text)
    assert rest == b'' and text.count(b'OK') >= 1, text
    answers(port)


def test_byte_by_byte(port):
    for _ in range(3):
        for byte in b'AT+CIPMUX?\r\n':
            port.write(bytes([byte]))
        assert port.wait_for(b'OK', b'ERROR') == [b'+CIPMUX:0', b'OK']


@pytest.mark.parametrize('line', [
    'AT+NOTHING', 'AT+', 'ATX', 'XAT', 'AT+CIPMUX=2', 'AT+CIPMUX=-1', 'AT+CIPMUX=', 'AT+CIPMUX', 'AT+CIPMUX=0,0',
    'AT+CIPMUX=4294967296', 'AT+CIPMUX=99999999999999999999', 'AT+CIPMUX="0"', 'AT+CIPSTART=', 'AT+CIPSTART="TCP"',
    'AT+CIPSTART="TCP","127.0.0.1",0', 'AT+CIPSTART="TCP","127.0.0.1",65536', 'AT+CIPSTART="XXX","127.0.0.1",80',
    'AT+CIPSTART="TCP","127.0.0.1",80,7201', 'AT+CIPSTART=0,"TCP","127.0.0.1",80', 'AT+CIPSEND=0', 'AT+CIPSEND=1',
    'AT+CIPSEND=8193', 'AT+CIPSEND=0,1', 'AT+CIPCLOSE', 'AT+CIPCLOSE=0', 'AT+CWMODE=4', 'AT+CWJAP="' + 'x' * 33 + '","p"',
    'AT+CWJAP=""', 'AT+CWJAP="net","' + 'p' * 65 + '"', 'AT+CIPDOMAIN=""', 'AT+CIPDOMAIN="' + 'x' * 65 + '"',
    'AT+UART_CUR=79,8,1,0,0', 'AT+UART_CUR=5000001,8,1,0,0', 'AT+UART_CUR=9600,4,1,0,0', 'AT+UART_CUR=9600,8,1,0',
    'AT+SYSMSG=8', 'AT+CIPSTAMAC="01:02:03:04:05:06"', 'AT+CIPSTAMAC="02:02:03:04:05"', 'AT+CIPSTA="1.2.3"', '?', '', ' ',
])
def test_wrong_commands(port, line):
    port.command('AT+CWMODE=1')
    assert port.refused(line) == []
    assert port.command('AT') == []


def test_garbage(port):
    """Floods of any bytes, in pieces of any size."""
    rng = random.Random(SEED)
    print(f'ESPAT_SEED={SEED}')
    for turn in range(20):
        kind = turn % 4
        for _ in range(rng.randrange(1, 30)):
            size = rng.choice([1, 2, 10, 100, 300, 4000, 20000])
            if kind == 0:
                piece = rng.randbytes(size)
            elif kind == 1:
                piece = bytes(rng.choices(b'AT+CIPSENDMUX=?,"\\0123\r\n', k=size))
            elif kind == 2:
                piece = b''.join(rng.choice([b'AT', b'+', b'=', b'?', b'\r\n', b'"', b',', b'\0', b'ATE1\r\n', b'AT+GMR\r\n',
                                             b'AT+CWLAP\r\n', b'AT+CMD?\r\n', b'+++', b'\\'])
                                 for _ in range(size // 4 + 1))
            else:
                piece = b'\r\n' * (size // 2)
            port.write(piece, timeout=20)
            port.pending.clear()
        port.write(b'\r\n')
        port.quiet(0.1)
        # It may scan still.
        end = time.monotonic() + 10
        while True:
            try:
                port.write(b'\0\r\n')
                port.quiet(0.05)
                port.write(b'ATE0\r\n')
                port.wait_for(b'OK', timeout=1)
                break
            except modem.Late:
                assert time.monotonic() < end, f'no answer after garbage, ESPAT_SEED={SEED}, turn {turn}'
        port.quiet(0.05)
        assert port.command('AT') == [], f'ESPAT_SEED={SEED}, turn {turn}'


def test_any_bytes_are_payload(start_pty, serve):
    """+++ inside a send, CR LF, NUL and AT commands: all of it reaches the server."""
    rng = random.Random(SEED)
    data = b''.join([b'AT+RST\r\n', b'+++', b'\0\r\n>', b'\\0', b'\r\n+IPD,5:', rng.randbytes(1500)])
    sink = servers.Sink()
    with modem.open_port(start_pty().link) as port:
        port.prepare()
        port.connect('127.0.0.1', serve(sink).port)
        port.send(data)
        port.begin_send(len(data))
        for at in range(0, len(data), 97):
            port.write(data[at:at + 97])
        port.wait_for(b'SEND OK')
        port.command('AT+CIPCLOSE')
    assert sink.ended.wait(10)
    assert sink.digest.hexdigest() == hashlib.sha256(data * 2).hexdigest(), f'ESPAT_SEED={SEED}'


def test_bytes_behind_the_payload(start_pty, serve):
    """The first n are sent; the rest is dropped and said to be."""
    sink = servers.Sink()
    with modem.open_port(start_pty().link) as port:
        port.prepare()
        port.connect('127.0.0.1', serve(sink).port)
        port.begin_send(3)
        port.write(b'abcdef\r\n')
        answer = port.wait_for(b'SEND OK')
        assert b'Recv 3 bytes' in answer and answer.count(b'busy p...') <= 1, answer
        port.quiet(0.1)
        port.command('AT')
        port.command('AT+CIPCLOSE')
    assert sink.ended.wait(10)
    assert sink.count == 3


def test_cancel_of_a_send(start_pty, serve):
    sink = servers.Sink()
    with modem.open_port(start_pty().link) as port:
        port.prepare()
        port.connect('127.0.0.1', serve(sink).port)
        port.begin_send(100)
        port.write(b'+++')
        assert port.wait_for(b'SEND Canceled') == [b'SEND Canceled']
        port.send(b'and on')
        port.command('AT+CIPCLOSE')
    assert sink.ended.wait(10)
    assert sink.count == 6

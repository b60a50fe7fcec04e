# SPDX-License-Identifier: MIT
"""The time: from chrony, as it is packaged, and from servers that do everything wrong."""

import calendar
import os
import pwd
import re
import struct
import time

import pytest

import servers

NTP_1970 = 2208988800
ERA = 1 << 32
# Far from now and from 1970.
THEN = calendar.timegm((2031, 7, 9, 1, 2, 3))


def shown(host):
    """What AT+CIPSNTPTIME? says, as seconds."""
    line = host.command('AT+CIPSNTPTIME?')[0]
    return calendar.timegm(time.strptime(line.decode(), '+CIPSNTPTIME:%a %b %d %H:%M:%S %Y'))


def stamp(host):
    return int(re.fullmatch(rb'\+SYSTIMESTAMP:(\d+)', host.command('AT+SYSTIMESTAMP?')[0])[1])


def wait_until_set(host, timeout=15):
    end = time.monotonic() + timeout
    while stamp(host) < 1e9:
        assert time.monotonic() < end, 'the clock is not set'
        time.sleep(0.01)


def reply(request, seconds, mode=4, leap=0, stratum=2, cookie=None, size=48):
    """A packet as a server sends it; `seconds` from 1970."""
    head = bytes([leap << 6 | 4 << 3 | mode, stratum, 6, 0xec]) + bytes(12)
    stamps = struct.pack('>II', int(seconds + NTP_1970) % ERA, 0)
    return (head + stamps + (request[40:48] if cookie is None else cookie) + stamps + stamps)[:size]


@pytest.fixture
def chrony(run, folder):
    """Its port: a server of its own that never touches the clock of this machine."""
    port = servers.free_port()
    (folder / 'chrony.conf').write_text(f'port {port}\nbindaddress 127.0.0.1\nallow 127.0.0.1\ncmdport 0\n'
                                        f'bindcmdaddress /\npidfile {folder}/chrony.pid\nlocal stratum 3\n')
    user = pwd.getpwuid(os.geteuid()).pw_name
    process = run('chronyd', '-d', '-x', '-U', '-u', user, '-f', folder / 'chrony.conf')
    assert len(servers.wait_for_answer(process, port, b'\x23' + bytes(47))) == 48
    return port


@pytest.mark.parametrize('zone, offset_s', [('0', 0), ('8', 8 * 3600), ('-500', -5 * 3600), ('1245', 45900)])
def test_time_by_chrony(open_modem, chrony, zone, offset_s):
    """Before it: the seconds since the start, from 1970. After it: what this machine's clock says."""
    host = open_modem('--sntp-port', chrony)
    assert stamp(host) < 60
    host.command(f'AT+CIPSNTPCFG=1,{zone},"127.0.0.1"')
    wait_until_set(host)
    assert abs(stamp(host) - time.time()) < 2
    assert abs(shown(host) - offset_s - time.time()) < 2
    assert host.command('AT+CIPSNTPCFG?') == [b'+CIPSNTPCFG:1,%s,"127.0.0.1"' % zone.encode()]


def test_time_by_a_name_and_a_second_server(open_modem, chrony):
    """Nobody is at the first; the third would not be asked."""
    host = open_modem('--sntp-port', chrony)
    host.command('AT+CIPSNTPCFG=1,0,"127.0.0.77","localhost","127.0.0.78"')
    wait_until_set(host)
    assert abs(stamp(host) - time.time()) < 2


def test_clock_goes_on(open_modem, serve_udp):
    """From what the server said, by itself; another zone at once; =0 leaves it as it is."""
    server = serve_udp(lambda request, address: [reply(request, THEN)])
    host = open_modem('--sntp-port', server.port)
    host.command('AT+CIPSNTPCFG=1,0,"127.0.0.1"')
    wait_until_set(host)
    begun = time.monotonic()
    assert 0 <= stamp(host) - THEN <= 3
    host.command('AT+CIPSNTPCFG=0,1')
    assert 0 <= shown(host) - 3600 - THEN <= 5
    first = stamp(host)
    while stamp(host) == first:
        assert time.monotonic() < begun + 5
        time.sleep(0.01)
    assert stamp(host) == first + 1
    assert len(server.asked) == 1
    assert server.asked[0][0] & 7 == 3 and len(server.asked[0]) == 48


@pytest.mark.parametrize('when', [
    (2036, 2, 7, 6, 28, 15), (2036, 2, 7, 6, 28, 17), (2037, 1, 1, 0, 0, 0), (2038, 1, 19, 3, 14, 8), (2100, 2, 28, 23, 59, 0),
], ids=lambda when: str(when[0]) + '-' + str(when[5]))
def test_after_the_first_era(open_modem, serve_udp, when):
    """NTP's seconds begin again in February 2036, and those of 31 bits end in 2038."""
    seconds = calendar.timegm(when)
    server = serve_udp(lambda request, address: [reply(request, seconds)])
    host = open_modem('--sntp-port', server.port)
    host.command('AT+CIPSNTPCFG=1,0,"127.0.0.1"')
    wait_until_set(host)
    assert 0 <= stamp(host) - seconds < 5
    assert 0 <= shown(host) - seconds < 5


def test_what_is_no_answer_is_not_believed(open_modem, serve_udp):
    """Everything wrong first, then the right one: that one counts."""
    wrong = THEN - 86400 * 365
    server = serve_udp(lambda request, address: [
        b'', b'\0', b'garbage' * 30, bytes(48), b'\xff' * 48, b'\x24' * 47, bytes(65507),
        *[reply(request, wrong, size=size) for size in (1, 24, 47)],
        reply(request, wrong, stratum=0), reply(request, wrong, stratum=16), reply(request, wrong, leap=3),
        *[reply(request, wrong, mode=mode) for mode in (0, 1, 2, 3, 5, 6, 7)],
        reply(request, wrong, cookie=bytes(8)), reply(request, wrong, cookie=request[40:47] + bytes([request[47] ^ 1])),
        reply(request, -NTP_1970), request,
        reply(request, THEN),
        reply(request, wrong),
    ])
    host = open_modem('--sntp-port', server.port)
    for _ in range(3):
        host.command('AT+SYSTIMESTAMP=1')
        host.command('AT+CIPSNTPCFG=1,0,"127.0.0.1"')
        wait_until_set(host)
        assert 0 <= stamp(host) - THEN < 5
    host.command('AT')


def test_answer_of_somebody_else(open_modem, serve_udp):
    """Only the address that was asked may answer."""
    seen = []

    def answer(request, address):
        with servers.udp_socket(address='127.0.0.99') as other:
            other.sendto(reply(request, THEN - 86400), address)
        seen.append(address)
        return [reply(request, THEN)]

    server = serve_udp(answer)
    host = open_modem('--sntp-port', server.port)
    host.command('AT+CIPSNTPCFG=1,0,"127.0.0.1"')
    wait_until_set(host)
    assert 0 <= stamp(host) - THEN < 5


def test_kiss_of_death_sends_us_to_the_next_server(open_modem, serve_udp, figure):
    """It is ignored, as is silence; after a while the next one is asked. The host notices nothing."""
    bad = serve_udp(lambda request, address: [reply(request, THEN - 86400, stratum=0, leap=3)])
    good = serve_udp(lambda request, address: [reply(request, THEN)], address='127.0.0.2', port=bad.port)
    host = open_modem('--sntp-port', bad.port)
    begun = time.monotonic()
    host.command('AT+CIPSNTPCFG=1,0,"127.0.0.1","127.0.0.2"')
    wait_until_set(host)
    figure(f'a time server that sends a kiss of death: the next one sets the clock after {time.monotonic() - begun:.1f} s')
    assert 0 <= stamp(host) - THEN < 5
    assert len(bad.asked) == 1 and len(good.asked) == 1


def test_server_that_comes_later(open_modem, serve_udp):
    """Nobody is there at first; it is asked again, with pauses, and nothing is printed."""
    port = servers.free_port()
    host = open_modem('--sntp-port', port, '--trace')
    host.command('AT+CIPSNTPCFG=1,0,"127.0.0.1"')
    host.daemon.wait_until(lambda: b'the time server cannot be asked' in host.daemon.err, 'it asked in vain')
    serve_udp(lambda request, address: [reply(request, THEN)], port=port)
    wait_until_set(host)
    assert 0 <= stamp(host) - THEN < 5
    assert host.quiet(0.05) == b''

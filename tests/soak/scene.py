# SPDX-License-Identifier: MIT
"""What stood where when a scenario failed: who holds each end of a connection, and how many bytes wait in it. It tells a
daemon that stalled from a far side that did, and from a program that has no business here."""

import contextlib
import ctypes
import fcntl
import os
import pathlib
import socket
import struct
import termios

STATES = ('?', 'ESTABLISHED', 'SYN_SENT', 'SYN_RECV', 'FIN_WAIT1', 'FIN_WAIT2', 'TIME_WAIT', 'CLOSE', 'CLOSE_WAIT',
          'LAST_ACK', 'LISTEN', 'CLOSING')
PIDFD_GETFD = 438  # Python has no name for it


def _end(text):
    address, port = text.split(':')
    return socket.inet_ntoa(struct.pack('=I', int(address, 16))), int(port, 16)


def _owners():
    """Whose each socket is, as far as we may see it."""
    owners = {}
    for fd in pathlib.Path('/proc').glob('[0-9]*/fd/*'):
        with contextlib.suppress(OSError):
            target = os.readlink(fd)
            if target.startswith('socket:['):
                program = (fd.parents[1] / 'comm').read_text().strip()
                owners.setdefault(target[8:-1], []).append(f'{program} {fd.parts[2]} at {fd.name}')
    return owners


def _connections(ports):
    """A line for each end of a connection at one of these ports."""
    owners = _owners()
    for row in pathlib.Path('/proc/net/tcp').read_text().splitlines()[1:]:
        _, local, remote, state, queues, _, _, _, _, inode = row.split()[:10]
        if _end(local)[1] in ports or _end(remote)[1] in ports:
            unsent, unread = (int(queue, 16) for queue in queues.split(':'))
            yield (f'{"%s:%d" % _end(local)} to {"%s:%d" % _end(remote)}, {STATES[int(state, 16)]}, {unsent} not taken, '
                   f'{unread} not read, of {", ".join(owners.get(inode, ["nobody"]))}')


def _unread(fd):
    return struct.unpack('i', fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0]


def _unread_by(pid, terminal):
    """Bytes that the host has written to this terminal and the daemon, which holds its master, has not read."""
    for info in pathlib.Path(f'/proc/{pid}/fdinfo').iterdir():
        if f'tty-index:\t{terminal}\n' not in info.read_text():
            continue
        process = os.pidfd_open(pid)
        master = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, process, int(info.name), 0)
        error = ctypes.get_errno()
        os.close(process)
        if master < 0:
            return os.strerror(error)
        try:
            return _unread(master)
        finally:
            os.close(master)
    return 'no master'


def _line(pid, fd):
    """The host's line."""
    yield f'the host has {_unread(fd)} bytes not read'
    if os.isatty(fd):
        name = os.ttyname(fd)
        yield f'the daemon has {_unread_by(pid, name.rpartition("/")[2])} bytes of {name} not read'


def _process(pid):
    proc = pathlib.Path(f'/proc/{pid}')
    for task in (proc / 'task').iterdir():
        state = (task / 'stat').read_text().rsplit(')', 1)[1].split()
        yield (f'thread {task.name}: {state[0]}, in {(task / "wchan").read_text() or "?"}, '
               f'system call {(task / "syscall").read_text().split()[0]}, {state[11]} + {state[12]} ticks')


def describe(pid, host):
    """A text of lines; what cannot be seen is said, too."""
    lines = [f'far side: {peer}' for peer in host.peers]
    for what in (_connections({peer.port for peer in host.peers}), _line(pid, host.line.reading), _process(pid)):
        try:
            lines += what
        except (OSError, ValueError) as error:
            lines.append(f'not to be seen: {error!r}')
    return '\n'.join(lines)

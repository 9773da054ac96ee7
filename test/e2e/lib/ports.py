"""Ports for receivers that cannot be given a listening socket, or that go away for a while and come back on the same port. They
are below the range from which the kernel assigns ports, so nobody gets one by chance between two uses. None is a port that the
egress policy denies to owners' drains on every address. Each process of the tests has a block of its own, marked by the name of
an abstract socket, which disappears with the process."""

import itertools
import os
import socket
from pathlib import Path

_SIZE = 200
_LEAST = 10000
DENIED = {10248, 10249, 10250, 10255, 10256, *range(10257, 10261), 16443}  # `ports` in src/net/egress.c, as far as in the range


def _block():
    """The sockets whose names reserve the block are never closed. Raises OSError when no block is left."""
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    blocks = range(_LEAST, low - _SIZE + 1, _SIZE)
    for i in range(len(blocks)):
        first = blocks[(os.getpid() * 7 + i) % len(blocks)]
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            lock.bind(f"\0logtrain-test-ports-{first}")
        except OSError:
            lock.close()
            continue
        _locks.append(lock)
        return range(first, first + _SIZE)
    raise OSError("every block of ports is taken")


_locks = []
_ports = []
_next = itertools.count()


def _is_free(port, kind, address):
    with socket.socket(socket.AF_INET, kind) as sock:
        try:
            sock.bind((address, port))
        except OSError:  # a receiver of ours, or somebody's service
            return False
    return True


def free_port(kind=socket.SOCK_STREAM, address="127.0.0.1"):
    """A free port that nobody else will take."""
    while True:
        for _ in range(len(_ports)):
            port = _ports[next(_next) % len(_ports)]
            if port not in DENIED and _is_free(port, kind, address):
                return port
        _ports.extend(_block())

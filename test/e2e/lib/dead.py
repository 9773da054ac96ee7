"""Destinations that never accept a line."""

import contextlib
import os
import select
import socket
import threading


class DeadFarm:
    """Hundreds of destinations that never accept a line (D26), with one thread. `urls` lists them."""

    def __init__(self, refused=0, blackhole=0, never_read=0, tls_stall=0):
        self.urls = []
        self.connects = 0
        self._held = []
        self._poll = select.epoll()
        self._listeners = {}
        for _ in range(refused):
            self._add("syslog+tcp", self._bound())
        for _ in range(blackhole):
            self._add("syslog+tcp", self._full())
        for scheme, n in (("syslog+tcp", never_read), ("syslog+tls", tls_stall)):
            for _ in range(n):
                sock = self._bound()
                sock.listen(64)
                sock.setblocking(False)
                self._listeners[sock.fileno()] = sock
                self._poll.register(sock, select.EPOLLIN)
                self._add(scheme, sock)
        self._stop = os.eventfd(0)
        self._poll.register(self._stop, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _bound(self):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.bind(("127.0.0.1", 0))
        self._held.append(sock)
        return sock

    def _full(self):
        sock = self._bound()
        sock.listen(0)
        for _ in range(2):  # a backlog of 0 holds one connection; the second waits for ever, as the sender's will
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(sock.getsockname())
            self._held.append(filler)
        return sock

    def _add(self, scheme, sock):
        self.urls.append(f"{scheme}://127.0.0.1:{sock.getsockname()[1]}/")

    def _run(self):
        while True:
            for fd, _ in self._poll.poll():
                if fd == self._stop:
                    return
                with contextlib.suppress(OSError):
                    self._held.append(self._listeners[fd].accept()[0])
                    self.connects += 1

    def close(self):
        os.eventfd_write(self._stop, 1)
        self._thread.join(5)
        for sock in self._held:
            sock.close()
        self._poll.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

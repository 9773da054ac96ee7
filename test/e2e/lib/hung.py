"""HTTP receivers that are well for a while, and then are not."""

import contextlib
import os
import re
import select
import socket
import threading
import time

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class _Conn:
    def __init__(self, sock, place):
        self.sock, self.place, self.left, self.head = sock, place, 0, b""


class HungFarm:
    """<n> HTTP receivers for the price of one thread. Each answers <answers> requests well, all its connections together;
    then it is hung: `silent` reads what comes and says nothing, `deaf` reads nothing either, `half` stops in the middle of
    an answer, `drip` answers a byte a second, `tls` lets new connections wait in the handshake. `hung` counts the receivers
    that have come so far."""

    def __init__(self, n, answers=10, then="silent", rcvbuf=None):
        self.answers, self.then = answers, then
        self.hung = 0
        self.requests = [0] * n
        self._conns, self._drips = {}, []
        self._poll = select.epoll()
        self._listeners = {}
        self.ports = []
        for place in range(n):
            sock = socket.socket()
            if rcvbuf:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
            sock.bind(("127.0.0.1", 0))
            sock.listen(256)
            sock.setblocking(False)
            self._listeners[sock.fileno()] = (sock, place)
            self.ports.append(sock.getsockname()[1])
            self._poll.register(sock, select.EPOLLIN)
        self._stop = os.eventfd(0)
        self._poll.register(self._stop, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def urls(self, options="batch=ndjson", scheme="http", path="/"):
        return [f"{scheme}://127.0.0.1:{port}{path}{'?' if options else ''}{options}" for port in self.ports]

    def _answer(self, conn):
        self.requests[conn.place] += 1
        done = self.requests[conn.place]
        if done == self.answers:
            self.hung += 1
        if done <= self.answers:
            conn.sock.send(OK)
        elif self.then == "half":
            conn.sock.send(OK[:20])
        elif self.then == "drip":
            self._drips.append((conn, 0))
        if done >= self.answers and self.then == "deaf":
            self._poll.unregister(conn.sock)

    def _read(self, conn):
        data = conn.sock.recv(1 << 20)
        if not data:
            raise ConnectionError
        while data:
            if conn.left:
                taken = min(conn.left, len(data))
                conn.left -= taken
                data = data[taken:]
                if not conn.left:
                    self._answer(conn)
                continue
            head, end, rest = (conn.head + data).partition(b"\r\n\r\n")
            if not end:
                conn.head = head
                return
            conn.head, data = b"", rest
            conn.left = int(_LENGTH.search(head)[1])

    def _drip(self):
        self._drips, drips = [], self._drips
        for conn, at in drips:
            with contextlib.suppress(OSError):
                conn.sock.send(OK[at:at + 1])
                self._drips.append((conn, at + 1))

    def _run(self):
        dripped = time.monotonic()
        while True:
            for fd, _ in self._poll.poll(1 if self._drips else None):
                if fd == self._stop:
                    return
                if fd in self._listeners:
                    listener, place = self._listeners[fd]
                    with contextlib.suppress(OSError):
                        conn = _Conn(listener.accept()[0], place)
                        conn.sock.setblocking(False)
                        self._conns[conn.sock.fileno()] = conn
                        if self.then != "deaf" or self.requests[place] < self.answers:
                            self._poll.register(conn.sock, select.EPOLLIN)
                    continue
                conn = self._conns[fd]
                try:
                    self._read(conn)
                except BlockingIOError:
                    pass
                except OSError:
                    del self._conns[fd]
                    conn.sock.close()
            if self._drips and time.monotonic() - dripped >= 1:
                dripped = time.monotonic()
                self._drip()

    def close(self):
        os.eventfd_write(self._stop, 1)
        self._thread.join(5)
        for conn in self._conns.values():
            conn.sock.close()
        for sock, _ in self._listeners.values():
            sock.close()
        self._poll.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

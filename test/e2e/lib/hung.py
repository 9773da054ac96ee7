"""Receivers that are healthy for a while and then fail."""

import base64
import contextlib
import hashlib
import json
import os
import re
import select
import socket
import ssl
import threading
import time

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
PIECE = 64 * 1024  # for protocols without answers: this many bytes count as one request
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_KEY = re.compile(rb"sec-websocket-key: *(\S+)", re.IGNORECASE)
_ID = re.compile(rb'"_id":"([^"]+)"')
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
COMMAND = b"PUBLISH\r\n"
PING, PONG = 9, 10


class _Http:
    """Parses bytes; returns the answer to each complete request."""

    def __init__(self):
        self.head, self.body, self.left = b"", [], 0

    def answer(self, body):
        del body
        return OK

    def feed(self, data):
        while data:
            if not self.left:
                head, end, rest = (self.head + data).partition(b"\r\n\r\n")
                self.head = b"" if end else head
                if not end:
                    return
                self.left, data = int(_LENGTH.search(head)[1]), rest
            part, data = data[:self.left], data[self.left:]
            self.left -= len(part)
            self.body.append(part)
            if not self.left:
                body, self.body = b"".join(self.body), []
                yield self.answer(body)


class _Elastic(_Http):
    def answer(self, body):
        items = [{"create": {"_id": i.decode(), "status": 201}} for i in _ID.findall(body)]
        text = json.dumps({"items": items}).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)


class _Pieces:
    """No answers (syslog): each PIECE bytes count as a request."""

    def __init__(self):
        self.got = 0

    def feed(self, data):
        before, self.got = self.got, self.got + len(data)
        for _ in range(self.got // PIECE - before // PIECE):
            yield b""


class _Redis(_Pieces):
    """Each PUBLISH is answered; each PIECE bytes of them count as a request."""

    def __init__(self):
        super().__init__()
        self.tail = b""

    def feed(self, data):
        text = self.tail + data
        self.tail = text[1 - len(COMMAND):]
        n = text.count(COMMAND)
        if n:
            yield (b":1\r\n" * n,)
        yield from super().feed(data)


class _WebSocket:
    """Answers each Ping, which counts as a request."""

    def __init__(self):
        self.open, self.data = False, b""

    def feed(self, data):
        self.data += data
        if not self.open:
            head, end, rest = self.data.partition(b"\r\n\r\n")
            if not end:
                return
            accept = base64.b64encode(hashlib.sha1(_KEY.search(head)[1] + _GUID).digest())
            yield (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   b"Sec-WebSocket-Accept: %s\r\n\r\n" % accept,)
            self.open, self.data = True, rest
        while len(self.data) >= 2:
            n, at = self.data[1] & 127, 2
            if n >= 126:
                size = 2 if n == 126 else 8
                n, at = int.from_bytes(self.data[2:2 + size], "big"), 2 + size
            if len(self.data) < at + 4 + n:
                return
            mask, payload = self.data[at:at + 4], self.data[at + 4:at + 4 + n]
            op, self.data = self.data[0] & 15, self.data[at + 4 + n:]
            if op == PING:
                text = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
                yield bytes([128 | PONG, len(text)]) + text


SPEAKS = {"http": _Http, "es": _Elastic, "redis": _Redis, "ws": _WebSocket, "syslog": _Pieces}
URL = {"http": ("http", "https", "/", "batch=ndjson"), "es": ("es+http", "es", "/", "index=x"),
       "redis": ("redis", "rediss", "/0/x", ""), "ws": ("ws", "wss", "/", "compression=none"),
       "syslog": ("syslog+tcp", "syslog+tls", "/", "")}


class _Conn:
    def __init__(self, sock, place, speaks):
        self.sock, self.place, self.speaks = sock, place, speaks
        self.shaking = isinstance(sock, ssl.SSLSocket)


class HungFarm:
    """<n> receivers for protocol <speaks>, with one thread. Each answers <answers> requests well, over all its connections. Then
    it hangs: `silent` reads and answers nothing, `deaf` reads nothing either, `slow` reads 2 KiB a second, `half` stops in the
    middle of an answer, `drip` answers one byte a second, `busy` answers 503, `ends` accepts and closes, `shake` lets new
    connections wait in the TLS handshake and closes the old ones. `hung` counts the receivers that have reached this point.
    <tls>: a server's ssl.SSLContext."""

    def __init__(self, n, answers=10, then="silent", rcvbuf=None, speaks="http", tls=None):
        self.answers, self.then, self.speaks, self.tls = answers, then, speaks, tls
        self.hung = 0
        self.requests = [0] * n
        self._conns, self._drips, self._slow, self._shaking = {}, [], [], []
        self._poll = select.epoll()
        self._listeners = {}
        self.ports = []
        for place in range(n):
            sock = socket.socket()
            if rcvbuf:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)  # the sender's kernel buffers little, too
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

    def urls(self, options=None, scheme=None, path=None):
        plain, secure, at, usual = URL[self.speaks]
        words = [usual if options is None else options, *(["insecure=true"] if self.tls else [])]
        query = "&".join(w for w in words if w)
        scheme = scheme or (secure if self.tls else plain)
        return [f"{scheme}://127.0.0.1:{port}{path or at}{'?' if query else ''}{query}" for port in self.ports]

    def _is_hung(self, place):
        return self.requests[place] >= self.answers

    def _answer(self, conn, text):
        if isinstance(text, tuple):  # bytes outside any request
            if not self._is_hung(conn.place):
                conn.sock.send(text[0])
            return
        self.requests[conn.place] += 1
        done = self.requests[conn.place]
        if done == self.answers:
            self.hung += 1
        if done <= self.answers:
            if text:
                conn.sock.send(text)
        elif self.then == "half":
            conn.sock.send(OK[:20])
        elif self.then == "drip":
            self._drips.append((conn, 0))
        elif self.then == "busy":
            conn.sock.send(BUSY)
        if self._is_hung(conn.place) and self.then in ("ends", "shake"):
            raise ConnectionError

    def _deafen(self, conn):
        self._poll.unregister(conn.sock)
        if self.then == "slow":
            self._slow.append(conn)

    def _read(self, conn):
        if conn.shaking:
            conn.sock.do_handshake()
            conn.shaking = False
        data = conn.sock.recv(1 << 16)
        if not data:
            raise ConnectionError
        for text in conn.speaks.feed(data):
            self._answer(conn, text)
        if self._is_hung(conn.place) and self.then in ("deaf", "slow"):
            self._deafen(conn)

    def _accept(self, listener, place):
        sock = listener.accept()[0]
        hung = self._is_hung(place)
        if hung and self.then == "ends":
            sock.close()
            return
        sock.setblocking(False)
        if hung and self.then == "shake":
            self._shaking.append(sock)
            return
        if self.tls:
            sock = self.tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        conn = _Conn(sock, place, SPEAKS[self.speaks]())
        self._conns[sock.fileno()] = conn
        self._poll.register(sock, select.EPOLLIN)
        if hung and self.then in ("deaf", "slow") and not self.tls:
            self._deafen(conn)

    def _tick(self):
        self._drips, drips = [], self._drips
        for conn, at in drips:
            with contextlib.suppress(OSError):
                conn.sock.send(OK[at:at + 1])
                self._drips.append((conn, at + 1))
        for conn in self._slow:
            with contextlib.suppress(OSError):
                conn.sock.recv(2048)

    def _serve(self, fd):
        conn = self._conns[fd]
        try:
            self._read(conn)
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except OSError:
            del self._conns[fd]
            conn.sock.close()

    def _run(self):
        ticked = time.monotonic()
        while True:
            for fd, _ in self._poll.poll(1 if self._drips or self._slow else None):
                if fd == self._stop:
                    return
                if fd in self._listeners:
                    with contextlib.suppress(OSError):
                        self._accept(*self._listeners[fd])
                else:
                    self._serve(fd)
            if time.monotonic() - ticked >= 1:
                ticked = time.monotonic()
                self._tick()

    def close(self):
        os.eventfd_write(self._stop, 1)
        self._thread.join(5)
        for conn in self._conns.values():
            conn.sock.close()
        for sock in self._shaking:
            sock.close()
        for sock, _ in self._listeners.values():
            sock.close()
        self._poll.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class Narrow:
    """Forwards TCP connections to <port> through small buffers, so that the sender's kernel holds little. stop(): reads nothing
    from the sender until go()."""

    def __init__(self, port):
        self.to = port
        self._going = threading.Event()
        self._going.set()
        self._socks = []
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(16)
        self.port = self._listener.getsockname()[1]
        self.stop, self.go = self._going.clear, self._going.set
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                one = self._listener.accept()[0]
                other = socket.create_connection(("127.0.0.1", self.to))
                self._socks += [one, other]
                for a, b, gate in ((one, other, self._going), (other, one, None)):
                    threading.Thread(target=self._pass, args=(a, b, gate), daemon=True).start()

    @staticmethod
    def _pass(source, sink, gate):
        with contextlib.suppress(OSError):
            while True:
                if gate:
                    gate.wait()
                data = source.recv(65536)
                if not data:
                    break
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def close(self):
        self.go()
        for sock in [self._listener, *self._socks]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

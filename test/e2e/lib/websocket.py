"""WebSocket receivers: one with Python's websockets, which does what the zlogs documentation says (gunzip each message, append it
to a file), and a fake that misbehaves frame by frame. A receiver's messages() are lines; of JSON and GELF records the message
in them."""

import asyncio
import base64
import contextlib
import gzip
import hashlib
import http
import socket
import struct
import threading

import pytest

from .peer import Cursor, Ended, StreamPeer
from .ports import free_port
from .real import Program, _program
from .redis import line_of

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class WebSocketReceiver:
    """<answers>(path, headers): None, or an HTTP status to refuse with. `wire` has each message as received (bytes or str),
    `requests` (path, headers) of each handshake. The file `received` is what zlogs' receiver would have."""

    def __init__(self, path, tls=None, port=0, answers=None, max_size=1 << 20, delay=0.0, fails=None, hangs=False):
        self.received = path
        self.tls = tls
        self.port = port or free_port()
        self.answers = answers
        self.max_size = max_size
        self.delay = delay  # seconds before each message is processed
        # (how, bytes): its program fails on a line that contains them: "raise" (the library closes with 1011), "reset", "end"
        # (no close frame), or a close code
        self.fails = fails
        self.hangs = hangs  # its program processes nothing
        self.wire = []
        self.requests = []
        self.closed = []    # close codes of ended connections, ours first; None: without a close frame
        self._lines = []
        self._open = set()
        self._dropped = set()
        self._pongs = {}
        self._server = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.resume()

    @staticmethod
    def available():
        try:
            import websockets  # noqa: F401
        except ImportError:
            return "python3-websockets is not installed"
        return None

    def _do(self, what):
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(90)

    def resume(self):
        """Listens (again, on the same port)."""
        async def listen():
            import websockets
            self._server = await websockets.serve(self._serve, "127.0.0.1", self.port, ssl=self.tls, max_size=self.max_size,
                                                  process_request=self._request, ping_interval=None, close_timeout=1)
        self._do(listen())

    async def _request(self, path, headers):
        self.requests.append((path, headers))
        status = self.answers(path, headers) if self.answers else None
        return None if status is None else (http.HTTPStatus(status), [], b"no\n")

    async def _serve(self, sock):
        self._open.add(sock)
        answer = sock.pong

        async def pong(data=b""):
            self._pongs[sock] = self._pongs.get(sock, 0) + 1
            await answer(data)
        sock.pong = pong
        import websockets
        with contextlib.suppress(websockets.ConnectionClosed):
            async for message in sock:
                if self.delay:
                    await asyncio.sleep(self.delay)
                while self.hangs:
                    await asyncio.sleep(0.02)
                if sock in self._dropped:
                    return
                self.wire.append(message)
                data = gzip.decompress(message) if isinstance(message, bytes) else message.encode()
                if self.fails and self.fails[1] in data:
                    if self.fails[0] == "reset":
                        self._abort(sock)
                        return
                    if self.fails[0] == "end":
                        sock.transport.close()
                        return
                    if isinstance(self.fails[0], int):
                        await sock.close(self.fails[0])
                        return
                    raise ValueError("a line that it cannot process")
                with open(self.received, "ab") as f:
                    f.write(data)
                assert data.endswith(b"\n"), data[-80:]
                self._lines += [line_of(line) for line in data[:-1].split(b"\n")]
        self._open.discard(sock)
        said = sock.close_sent or sock.close_rcvd
        self.closed.append(said and said.code)

    def hang_up(self, code=1000):
        """Closes what is open with that code, and goes on listening."""
        async def close():
            for sock in list(self._open):
                await sock.close(code)
        self._do(close())

    @staticmethod
    def _abort(sock):
        raw = sock.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.transport.abort()

    def reset(self):
        """Resets what is open; what its program has not processed by then is lost."""
        async def reset():
            for sock in list(self._open):
                self._dropped.add(sock)
                self._abort(sock)
        self._do(reset())

    def pongs(self):
        """Messages whose Ping the library has answered, of those received: this much the open connections have read."""
        return sum(self._pongs.values())

    def refuse(self, code=None):
        """Nothing listens any more. The open connections are closed with 1001."""
        async def stop():
            self._server.close()
            await self._server.wait_closed()
        if self._server:
            self._do(stop())
        self._server = None

    def url(self, options="", path="/", userinfo=""):
        at = f"{userinfo}@" if userinfo else ""
        scheme, host = ("wss", "localhost") if self.tls else ("ws", "127.0.0.1")
        return f"{scheme}://{at}{host}:{self.port}{path}" + (f"?{options}" if options else "")

    def messages(self):
        return list(self._lines)

    def count(self):
        return len(self._lines)

    def cursor(self):
        return Cursor(lambda: [self._lines])

    def close(self):
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


class LibwebsocketsServer(Program):
    """The test server of libwebsockets: another implementation. It stores nothing; its Pongs show what it has read."""

    def __init__(self, directory, certs=None):
        super().__init__(directory)
        self.port = free_port()
        self.certs = certs
        self.start()

    def start(self):
        certs = self.certs
        tls = ["--ssl", f"--ssl-cert={certs.pem('good')}", f"--ssl-key={certs.key('good')}"] if certs else []
        self.spawn(_program("libwebsockets-test-server"), f"--port={self.port}", *tls)
        self.wait_listening(self.port)

    @staticmethod
    def available():
        return None if _program("libwebsockets-test-server") else "libwebsockets-test-server is not installed"

    def url(self, options=""):
        if self.certs:
            return f"wss://localhost:{self.port}/?ca={self.certs.option()}&{options}"
        return f"ws://127.0.0.1:{self.port}/?{options}"


# --- the fake --------------------------------------------------------------------------------------------------------

def frame(op, payload=b"", fin=True, rsv=0, mask=None, length=None):
    """A frame as a server sends it, or as none may."""
    head = bytes([(0x80 if fin else 0) | rsv << 4 | op])
    masked = 0x80 if mask else 0
    n = len(payload) if length is None else length
    if n < 126:
        head += bytes([masked | n])
    elif n < 1 << 16:
        head += bytes([masked | 126]) + struct.pack(">H", n)
    else:
        head += bytes([masked | 127]) + struct.pack(">Q", n)
    return head + (mask or b"") + payload


def close_frame(code, reason=b""):
    return frame(CLOSE, struct.pack(">H", code) + reason)


class FakeWebSocket(StreamPeer):
    """<upgrade>(headers, conn): bytes to answer the request with, None: as usual. <on>(op, payload, conn): bytes to answer a
    frame with (b"": nothing), None: as usual (a Ping gets its Pong, a Close a Close, and then the end), or raise Ended. The
    lines of a message count when a Pong followed. `frames` has (op, payload) of each connection."""

    def __init__(self, upgrade=None, on=None, **options):
        self.upgrade = upgrade
        self.on = on
        self.heads = []
        self.frames = []
        self.half = 0       # connections that ended in the middle of a frame
        super().__init__(**options)

    def url(self, options="", path="/", userinfo="", host=None):
        at = f"{userinfo}@" if userinfo else ""
        scheme = "wss" if self.tls else "ws"
        return f"{scheme}://{at}{host or self.host}:{self.port}{path}" + (f"?{options}" if options else "")

    def serve(self, conn):
        buffer = bytearray()
        while (end := buffer.find(b"\r\n\r\n")) < 0:
            buffer += conn.read()
        lines = bytes(buffer[:end]).decode("latin-1").split("\r\n")
        del buffer[:end + 4]
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        self.heads.append((lines[0], headers))
        answer = self.upgrade(headers, conn) if self.upgrade else None
        conn.write(accept(headers) if answer is None else answer)
        if answer is not None and not answer.startswith(b"HTTP/1.1 101"):
            raise Ended("fin")
        frames = []
        self.frames.append(frames)
        pending = []
        try:
            while True:
                op, payload = self._frame(conn, buffer)
                frames.append((op, payload))
                self._take(conn, op, payload, pending)
        except (Ended, OSError):
            self.half += bool(buffer)
            raise

    def _take(self, conn, op, payload, pending):
        if op in (TEXT, BINARY):
            data = gzip.decompress(payload) if op == BINARY else payload
            pending += [line_of(line) for line in data[:-1].split(b"\n")]
        reply = self.on(op, payload, conn) if self.on else None
        if reply is None:
            reply = frame(PONG, payload) if op == PING else close_frame(1000) if op == CLOSE else b""
        if op == PING and reply[:1] == b"\x8a":
            conn.messages += pending
            pending.clear()
        conn.write(reply)
        if op == CLOSE:
            raise Ended("fin")

    def _frame(self, conn, buffer):
        self._need(conn, buffer, 2)
        assert buffer[0] & 0xf0 == 0x80 and buffer[1] & 0x80, bytes(buffer[:20])
        op, n, at = buffer[0] & 15, buffer[1] & 0x7f, 2
        if n >= 126:
            wide = 2 if n == 126 else 8
            self._need(conn, buffer, 2 + wide)
            n, at = int.from_bytes(buffer[2:2 + wide], "big"), 2 + wide
        self._need(conn, buffer, at + 4 + n)
        mask = bytes(buffer[at:at + 4])
        payload = bytes(buffer[at + 4:at + 4 + n])
        del buffer[:at + 4 + n]
        key = int.from_bytes((mask * (n // 4 + 1))[:n], "big")
        return op, (int.from_bytes(payload, "big") ^ key).to_bytes(n, "big")

    @staticmethod
    def _need(conn, buffer, n):
        while len(buffer) < n:
            buffer += conn.read()


def accept(headers, key=None, more=""):
    digest = hashlib.sha1((key or headers["sec-websocket-key"]).encode() + GUID).digest()
    return (f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}\r\n{more}\r\n").encode()


@pytest.fixture
def websocket(closing, tmp_path, certs):
    """websocket(…): a WebSocketReceiver; tls=True or the name of a certificate. Import it where it is used."""
    def start(tls=None, **options):
        if WebSocketReceiver.available():
            pytest.skip(WebSocketReceiver.available())
        context = certs.server("good" if tls is True else tls) if tls else None
        return closing(WebSocketReceiver(tmp_path / "received", tls=context, **options))
    return start


@pytest.fixture
def fake_websocket(closing):
    return lambda *args, **options: closing(FakeWebSocket(*args, **options))


@pytest.fixture
def libwebsockets(closing, tmp_path, certs):
    """libwebsockets(tls=False): a LibwebsocketsServer. Import it where it is used."""
    def start(tls=False):
        if LibwebsocketsServer.available():
            pytest.skip(LibwebsocketsServer.available())
        return closing(LibwebsocketsServer(tmp_path / "libwebsockets", certs if tls else None))
    return start

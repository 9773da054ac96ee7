"""Redis: a small client, the real server, and a fake that sends what no real server would send on request.

A receiver's messages() are the lines themselves: of a GELF or JSON record its message, of anything else the bytes."""

import gzip
import json
import socket
import ssl
import threading

import pytest

from .peer import Cursor, Ended, StreamPeer
from .ports import free_port
from .real import Program, _program
from .wait import wait_for


class RedisError(Exception):
    """An error that the server answered."""


def lines_of(message):
    """The lines in a message: of one with whole lines (gzipped) each, else the one of the record."""
    if message[:2] == b"\x1f\x8b":
        message = gzip.decompress(message)
        assert message.endswith(b"\n"), message[-50:]
    return [line_of(line) for line in message[:-1].split(b"\n")] if message.endswith(b"\n") else [line_of(message)]


def line_of(record):
    """The line in a record, whatever its format."""
    if record[:1] == b"{":
        fields = json.loads(record)
        return fields.get("short_message", fields.get("message")).encode("utf-8", "surrogatepass")
    return record


def encode(*parts):
    """A command in the Redis protocol."""
    parts = [p if isinstance(p, bytes) else str(p).encode() for p in parts]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


class Client:
    """One connection; call(…) returns the reply, or raises RedisError."""

    def __init__(self, port, context=None, password=None):
        self.sock = socket.create_connection(("127.0.0.1", port), 90)
        if context:
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        self.file = self.sock.makefile("rb")
        if password:
            self.call("AUTH", password)

    def call(self, *parts):
        self.sock.sendall(encode(*parts))
        return self.reply()

    def reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server has hung up")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        assert kind == b"*", line
        return None if rest == b"-1" else [self.reply() for _ in range(int(rest))]

    def close(self):
        self.file.close()
        self.sock.close()


class Subscriber:
    """Subscribes to channels (patterns) and stores what arrives: `received` as (channel, record)."""

    def __init__(self, client, *patterns):
        self.client = client
        self.received = []
        self._lines = []
        client.sock.sendall(encode("PSUBSCRIBE", *patterns))
        for _ in patterns:
            client.reply()
        client.sock.settimeout(None)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            while True:
                kind, _, channel, record = self.client.reply()
                assert kind == b"pmessage"
                self.received.append((channel.decode(), record))
                self._lines += lines_of(record)
        except (OSError, ConnectionError, ValueError):
            return

    def messages(self):
        return list(self._lines)

    def count(self):
        return len(self._lines)

    def cursor(self):
        return Cursor(lambda: [self._lines])

    def close(self):
        self.client.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self.client.close()


class RedisServer(Program):
    """redis-server on a port of its own. <tls>: Certs, then it speaks TLS only. <config>: settings by name, dashes as
    underscores; appendonly is on with fsync always, so that a kill loses nothing that was answered."""

    def __init__(self, directory, tls=None, cert="good", **config):
        super().__init__(directory)
        self.port = free_port()
        self.tls = tls
        self.cert = cert
        self.config = {"appendonly": "yes", "appendfsync": "always", "save": "", "enable_debug_command": "yes", **config}
        self.clients = []
        self.password = None
        self.start()

    @staticmethod
    def available():
        return None if _program("redis-server") else "redis-server is not installed"

    def start(self, **more):
        ports = [("port", self.port)]
        if self.tls:
            ports = [("port", 0), ("tls_port", self.port), ("tls_cert_file", self.tls.pem(self.cert)),
                     ("tls_key_file", self.tls.key(self.cert)), ("tls_ca_cert_file", self.tls.pem("ca")),
                     ("tls_auth_clients", "no")]
        if "cluster_enabled" in self.config:  # else it would be the port's number plus 10,000, which may not exist
            ports.append(("cluster_port", free_port()))
        settings = [("bind", "127.0.0.1"), ("dir", self.dir), *ports, *self.config.items(), *more.items()]
        self.spawn(_program("redis-server"), *[a for k, v in settings for a in ("--" + k.replace("_", "-"), v)])
        self.wait_listening(self.port)

    def restart(self, loaded=True, **more):
        """Killed, and back on the same port with the same files. <loaded>: waits until they are loaded."""
        self.kill()
        self.clients = []
        self.start(**more)
        if loaded:
            wait_for(lambda: not self.loading(), 20, "the data to be read")

    def loading(self):
        return b"loading:1" in self.call("INFO", "persistence")

    def client(self):
        context = None
        if self.tls:
            context = ssl.create_default_context(cafile=self.tls.pem("ca"))
        self.clients.append(Client(self.port, context, self.password))
        return self.clients[-1]

    def call(self, *parts):
        if not self.clients:
            self.client()
        return self.clients[0].call(*parts)

    def subscribe(self, *patterns):
        client = self.client()
        self.clients.remove(client)
        return Subscriber(client, *patterns)

    def url(self, options="", path="/", userinfo=""):
        at = f"{userinfo}@" if userinfo else ""
        tls = ["ca=" + self.tls.option()] if self.tls else []
        query = "&".join([*tls, *([options] if options else [])])
        return f"{'rediss' if self.tls else 'redis'}://{at}{'localhost' if self.tls else '127.0.0.1'}:{self.port}{path}" + \
            (f"?{query}" if query else "")

    def list(self, key):
        """A receiver that reads a list."""
        return Keep(lambda start: self.call("LRANGE", key, start, -1))

    def stream(self, key):
        """A receiver that reads a stream; `entries` has (id field, record)."""
        return Stream(self, key)

    def stop(self):
        for client in self.clients:
            client.close()
        self.clients = []
        super().stop()

    close = stop


class Keep:
    """A list that only grows, read step by step."""

    def __init__(self, fetch):
        self._fetch = fetch
        self._seen = 0
        self._lines = []

    def messages(self):
        fresh = self._fetch(self._seen)
        self._seen += len(fresh)
        self._lines += [line for message in fresh for line in lines_of(message)]
        return self._lines

    def count(self):
        return len(self.messages())

    def cursor(self):
        return Cursor(lambda: [self.messages()])


class Stream(Keep):
    def __init__(self, server, key):
        self.entries = []
        self._last = "-"

        def fetch(_):
            fresh = server.call("XRANGE", key, self._last, "+")
            if fresh:
                self._last = "(" + fresh[-1][0].decode()
            found = [dict(zip(fields[::2], fields[1::2])) for _, fields in fresh]
            self.entries += [(f[b"id"], f[b"message"]) for f in found]
            return [f[b"message"] for f in found]

        super().__init__(fetch)


# --- the fake --------------------------------------------------------------------------------------------------------

OK = b"+OK\r\n"


class FakeRedis(StreamPeer):
    """Accepts any command. <answer>(command, conn): bytes to reply instead of what a Redis replies; None: as usual; or raise
    Ended. A record counts as received when a good reply to it was written. `commands` has all commands."""

    def __init__(self, answer=None, **options):
        self.answer = answer
        self.commands = []
        self.half = 0        # connections that ended in the middle of a command
        self._lock = threading.Lock()
        super().__init__(**options)

    def url(self, options="", path="/lines", userinfo="", host=None):
        at = f"{userinfo}@" if userinfo else ""
        return f"{'rediss' if self.tls else 'redis'}://{at}{host or self.host}:{self.port}{path}" + \
            (f"?{options}" if options else "")

    def serve(self, conn):
        buffer = bytearray()
        try:
            while True:
                command = self._command(conn, buffer)
                conn.write(self._reply(conn, command))
        except (Ended, OSError):
            self.half += bool(buffer)
            raise

    def _reply(self, conn, command):
        name = command[0].upper()
        with self._lock:
            self.commands.append(command)
            reply = self.answer(command, conn) if self.answer else None
        if reply is None:
            reply = {b"PUBLISH": b":1\r\n", b"RPUSH": b":1\r\n", b"XADD": b"$15\r\n1526919030474-0\r\n"}.get(name, OK)
        if name in (b"PUBLISH", b"RPUSH", b"XADD") and reply[:1] in (b":", b"$") and reply[:2] != b"$-":
            conn.messages += lines_of(command[-1])
        return reply

    def _command(self, conn, buffer):
        n = int(self._line(conn, buffer, b"*"))
        parts = []
        for _ in range(n):
            size = int(self._line(conn, buffer, b"$"))
            while len(buffer) < size + 2:
                buffer += conn.read()
            parts.append(bytes(buffer[:size]))
            assert buffer[size:size + 2] == b"\r\n", bytes(buffer[:200])
            del buffer[:size + 2]
        return parts

    @staticmethod
    def _line(conn, buffer, kind):
        while (end := buffer.find(b"\r\n")) < 0:
            buffer += conn.read()
        assert buffer[:1] == kind, bytes(buffer[:200])
        line = bytes(buffer[1:end])
        del buffer[:end + 2]
        return line


@pytest.fixture
def redis(closing, tmp_path):
    """redis(…): a real server (RedisServer). Import it where it is used."""
    def start(**options):
        if RedisServer.available():
            pytest.skip(RedisServer.available())
        return closing(RedisServer(tmp_path / "redis", **options))
    return start


@pytest.fixture
def fake_redis(closing):
    return lambda *args, **options: closing(FakeRedis(*args, **options))

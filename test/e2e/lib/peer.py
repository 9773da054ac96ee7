"""drainsim: receivers that behave as the test says, on free loopback ports.

A stream receiver (SyslogTcp, and Http in http_peer.py, both with tls=) has one thread that accepts and one per connection.
The Mode of a connection says how it behaves. It is taken from peer.script (a list, used in order, or a function of the
connection's number), and then from peer.mode. The listener decides whether connections are accepted: refuse(), blackhole(),
resume().

Received data is stored per connection. messages() joins the connections in the order in which they were opened; this is the
order in which the sender sent, whatever the threads did.
"""

import collections
import contextlib
import dataclasses
import os
import select
import socket
import ssl
import struct
import threading
import time
from typing import Optional

from .ports import free_port

CHUNK = 1 << 18
_SO_RCVBUFFORCE = 33
_LINGER_RESET = struct.pack("ii", 1, 0)


@dataclasses.dataclass(frozen=True)
class Mode:
    """How one connection behaves. With everything off it reads until the other side closes."""

    never_read: bool = False
    bytes_per_s: Optional[float] = None  # reads no faster
    reset_after: Optional[int] = None    # RST after so many bytes were read
    close_after: Optional[int] = None    # FIN after so many bytes were read
    fin_after: Optional[float] = None    # FIN so many seconds after the accept
    half_close: Optional[float] = None   # FIN so many seconds after the accept, but goes on reading
    stall_tls: bool = False              # accepts, never answers the ClientHello
    notify: bool = True                  # TLS: close_notify before the FIN


NORMAL = Mode()
NEVER_READ = Mode(never_read=True)
ONE_BYTE = Mode(bytes_per_s=1)
SWALLOW = Mode(fin_after=0.3)
TLS_STALL = Mode(stall_tls=True)


class Ended(Exception):
    """The connection is over; the text says how: "eof", "reset", "fin", "told", "error: …"."""


class Deframer:
    """Syslog frames from a byte stream, octet counting or LF according to the first byte of the connection."""

    def __init__(self):
        self.framing = None
        self.rest = b""

    def feed(self, data):
        data = self.rest + data if self.rest else data
        if self.framing is None and data:
            self.framing = "octet" if data[:1].isdigit() else "lf"
        if self.framing == "lf":
            parts = data.split(b"\n")
            self.rest = parts.pop()
            return parts
        return self._octet(data)

    def _octet(self, data):
        out, at = [], 0
        while True:
            space = data.find(b" ", at, at + 12)
            if space < 0:
                if len(data) - at >= 12:
                    raise ValueError(f"no octet count at {data[at:at + 40]!r}")
                break
            count = data[at:space]
            if not count.isdigit() or count[:1] == b"0":
                raise ValueError(f"bad octet count {data[at:at + 40]!r}")
            end = space + 1 + int(count)
            if end > len(data):
                break
            out.append(data[space + 1:end])
            at = end
        self.rest = data[at:]
        return out


class Conn:
    """One accepted connection with its own thread; other threads control it by order()."""

    def __init__(self, index, sock, mode):
        self.index = index
        self.sock = sock
        self.mode = mode
        self.opened = time.monotonic()
        self.ended = None           # how it ended
        self.closed_at = None
        self.messages = []
        self.received = 0           # bytes, after TLS
        self._next_read = self.opened + (1 / mode.bytes_per_s if mode.bytes_per_s else 0)
        self.framing = None
        self.rest = b""             # an incomplete frame at the end
        self.error = None           # a broken frame, a failed handshake
        self._order = None
        self._wake = os.eventfd(0, os.EFD_NONBLOCK)
        self._lock = threading.Lock()
        self._half_closed = False

    @property
    def open(self):
        return self.ended is None

    def order(self, what):
        """"reset" or "fin": ends the connection in this way."""
        with self._lock:
            self._order = what
            if self._wake >= 0:
                os.eventfd_write(self._wake, 1)

    # for the connection's thread

    def _due(self):
        """The next time at which the mode has something to do, or None."""
        times = [self.mode.fin_after, None if self._half_closed else self.mode.half_close]
        times = [self.opened + t for t in times if t is not None]
        return min(times) if times else None

    def _check(self):
        if self._order:
            raise Ended(self._order if self._order == "reset" else "fin")
        now = time.monotonic() - self.opened
        if self.mode.fin_after is not None and now >= self.mode.fin_after:
            raise Ended("fin")
        if self.mode.half_close is not None and now >= self.mode.half_close and not self._half_closed:
            self._half_closed = True
            with contextlib.suppress(OSError):
                if isinstance(self.sock, ssl.SSLSocket) and self.mode.notify:
                    self._notify()
                socket.socket.shutdown(self.sock, socket.SHUT_WR)

    def wait(self, events, until=None):
        """Waits for <events> on the socket, an order, or the time. True when the socket is ready. Raises Ended."""
        while True:
            self._check()
            times = [t for t in (self._due(), until) if t is not None]
            left = max(0.0, min(times) - time.monotonic()) if times else None
            if until is not None and time.monotonic() >= until:
                return False
            poll = select.poll()
            poll.register(self._wake, select.POLLIN)
            if events:
                poll.register(self.sock, events)
            ready = poll.poll(None if left is None else left * 1000 + 1)
            if any(fd != self._wake for fd, _ in ready):
                self._check()
                return True

    def handshake(self, context):
        """Starts TLS on the connection."""
        self.sock = context.wrap_socket(self.sock, server_side=True, do_handshake_on_connect=False,
                                         suppress_ragged_eofs=False)
        self.sock.setblocking(False)
        self._tls(self.sock.do_handshake)

    def _tls(self, step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self.wait(select.POLLIN)
            except ssl.SSLWantWriteError:
                self.wait(select.POLLOUT)

    def read(self, most=CHUNK):
        """Some bytes, as the mode allows. Raises Ended at the end."""
        mode = self.mode
        if mode.never_read:
            while True:
                self.wait(0, until=time.monotonic() + 3600)
        if mode.bytes_per_s is not None:
            most = max(1, int(mode.bytes_per_s / 10))
            self.wait(0, until=self._next_read)
        for limit in (mode.reset_after, mode.close_after):
            if limit is not None:
                if self.received >= limit:
                    raise Ended("reset" if mode.reset_after is not None else "fin")
                most = min(most, limit - self.received)
        data = self._read(most)
        self.received += len(data)
        if mode.bytes_per_s is not None:
            self._next_read = max(self._next_read, time.monotonic() - 0.2) + len(data) / mode.bytes_per_s
        if not data:
            raise Ended("eof")
        return data

    def _read(self, most):
        while True:
            self._check()
            try:
                return self.sock.recv(most)
            except (ssl.SSLWantReadError, BlockingIOError):
                self.wait(select.POLLIN)
            except ssl.SSLWantWriteError:
                self.wait(select.POLLOUT)
            except ssl.SSLZeroReturnError:
                raise Ended("eof") from None
            except ssl.SSLError as e:
                if isinstance(e, ssl.SSLEOFError) or e.reason == "UNEXPECTED_EOF_WHILE_READING":
                    raise Ended("eof without close_notify") from None
                raise

    def write(self, data):
        view = memoryview(data)
        while view:
            try:
                view = view[self.sock.send(view):]
            except (ssl.SSLWantWriteError, BlockingIOError):
                self.wait(select.POLLOUT)
            except ssl.SSLWantReadError:
                self.wait(select.POLLIN)
            except ssl.SSLEOFError:
                raise Ended("eof without close_notify") from None

    def _notify(self):
        try:
            self.sock.unwrap()
        except (ssl.SSLError, OSError, ValueError):
            pass  # sent as far as possible; nobody waits for the answer

    def finish(self, how):
        """Closes as <how> says."""
        with contextlib.suppress(OSError):
            if how == "reset":
                socket.socket.setsockopt(self.sock, socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
            elif isinstance(self.sock, ssl.SSLSocket) and self.mode.notify:
                self._notify()
        with contextlib.suppress(OSError):
            socket.socket.close(self.sock)
        with self._lock:
            os.close(self._wake)
            self._wake = -1
        self.closed_at = time.monotonic()
        self.ended = how


class Cursor:
    """Reads a receiver's messages step by step; see Progress in oracle.py."""

    def __init__(self, lists):
        self._lists = lists  # a function that returns all lists of messages
        self._at = collections.defaultdict(int)

    def fresh(self):
        for i, messages in enumerate(self._lists()):
            end = len(messages)
            at, self._at[i] = self._at[i], end
            yield from messages[at:end] if at < end else ()


def same_port(make, *addresses):
    """One receiver for each address, all on one port: make(address, port) creates one, and fails when the port is in use."""
    for _ in range(20):
        made = [make(addresses[0], 0)]
        try:
            return made + [make(address, made[0].port) for address in addresses[1:]]
        except OSError:
            continue
    raise AssertionError(f"no port is free at each of {addresses}")


class StreamPeer:
    """Common to TCP receivers: the listener and the connections."""

    scheme = "tcp"

    def __init__(self, tls=None, address="127.0.0.1", port=0, mode=NORMAL, script=(), rcvbuf=None):
        self.tls = tls
        self.address = address
        self.mode = mode
        self.script = script if callable(script) else list(script)
        self.rcvbuf = rcvbuf
        self.connections = []
        self._sock = None
        self._reserved = None
        self._filler = []
        self._filler_ports = set()
        self._acceptor = None
        self._accepting = threading.Event()
        self._bind(port or free_port(address=address))
        self.port = self._reserved.getsockname()[1]
        self.resume()

    # the listener

    def _bind(self, port):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.rcvbuf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.rcvbuf)
        sock.bind((self.address, port))
        self._reserved = sock

    def resume(self):
        """Listens (again) and accepts."""
        for sock in self._filler:
            sock.close()
        self._filler = []
        if self._sock is None:
            self._sock, self._reserved = self._reserved, None
            self._sock.listen(512)
            self._acceptor = threading.Thread(target=self._accept, args=(self._sock,), daemon=True)
            self._acceptor.start()
        else:
            self._sock.listen(512)
        self._accepting.set()

    def refuse(self, end=None):
        """Connections are refused from now on; the port stays reserved. <end>: "reset" or "fin" for open ones."""
        if self._sock is not None:
            self._stop_listening()
            self._bind(self.port)
        if end:
            self.end_all(end)

    def _stop_listening(self):
        sock, self._sock = self._sock, None
        self._accepting.set()
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread
        self._acceptor.join(5)
        sock.close()

    def blackhole(self):
        """Connections are neither accepted nor refused: the accept queue is full and SYNs are not answered."""
        self._accepting.clear()
        self._sock.listen(0)
        unanswered = 0
        while unanswered < 2:  # loopback answers at once or never; twice, because accept() may still have been taking one
            sock = socket.socket()
            sock.setblocking(False)
            sock.bind((self.address, 0))
            self._filler_ports.add(sock.getsockname()[1])
            self._filler.append(sock)
            sock.connect_ex((self.address, self.port))
            unanswered = 0 if select.select([], [sock], [], 0.2)[1] else unanswered + 1

    def end_all(self, how):
        """Ends every open connection: "reset" or "fin"."""
        for conn in self.open_connections():
            conn.order(how)

    def open_connections(self):
        return [c for c in list(self.connections) if c.open]

    def _accept(self, sock):
        while True:
            try:
                self._accepting.wait()
                if sock is not self._sock:
                    return
                new, (_, port) = sock.accept()
            except OSError:
                return
            if port in self._filler_ports:
                self._filler_ports.discard(port)
                self._filler.append(new)
                continue
            new.setblocking(False)
            conn = Conn(len(self.connections), new, self._next_mode(len(self.connections)))
            self.connections.append(conn)
            threading.Thread(target=self._run, args=(conn,), daemon=True).start()

    def _next_mode(self, index):
        if callable(self.script):
            return self.script(index) or self.mode
        return self.script.pop(0) if self.script else self.mode

    def _run(self, conn):
        try:
            if self.tls and not conn.mode.stall_tls:
                conn.handshake(self.tls)
            elif conn.mode.stall_tls:
                while True:
                    conn.wait(0, until=time.monotonic() + 3600)
            self.serve(conn)
            how = "fin"
        except Ended as e:
            how = str(e)
        except ssl.SSLError as e:
            conn.error = conn.error or str(e)
            how = f"error: {e}"
        except OSError as e:
            how = "reset by sender" if isinstance(e, ConnectionError) else f"error: {e}"
        except Exception as e:  # a broken frame or request: the sender's fault (or ours), raised by messages()
            conn.error = repr(e)
            how = "reset"
        conn.finish(how)

    def serve(self, conn):
        raise NotImplementedError

    # what tests read

    @property
    def host(self):
        return "localhost" if self.tls and self.address == "127.0.0.1" else self.address

    def errors(self):
        return [f"connection {c.index}: {c.error}" for c in list(self.connections) if c.error]

    def message_lists(self):
        return [c.messages for c in list(self.connections)]

    def messages(self):
        """Everything received, connection after connection. Fails on a broken frame."""
        broken = self.errors()
        assert not broken, broken
        return [m for messages in self.message_lists() for m in messages]

    def count(self):
        return sum(len(m) for m in self.message_lists())

    def received(self):
        """Bytes read, in frames or not."""
        return sum(c.received for c in list(self.connections))

    def cursor(self):
        return Cursor(self.message_lists)

    def close(self):
        if self._sock is not None:
            self._stop_listening()
        for sock in [*self._filler, *([self._reserved] if self._reserved else [])]:
            sock.close()
        self.end_all("reset")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class SyslogTcp(StreamPeer):
    """syslog+tcp, and with tls= syslog+tls."""

    def url(self, options="", host=None):
        scheme = "syslog+tls" if self.tls else "syslog+tcp"
        return f"{scheme}://{host or self.host}:{self.port}/" + (f"?{options}" if options else "")

    def serve(self, conn):
        deframer = Deframer()
        try:
            while True:
                conn.messages += deframer.feed(conn.read())
                conn.framing = deframer.framing
        finally:
            conn.rest = deframer.rest


class SyslogUdp:
    """syslog+udp: every datagram is a message."""

    def __init__(self, address="127.0.0.1"):
        self.address = address
        self.port = free_port(socket.SOCK_DGRAM, address)
        self._messages = []
        self._sock = None
        self.resume()

    def resume(self):
        """Listens (again, on the same port)."""
        self._sock = self._socket()
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        with contextlib.suppress(PermissionError):  # root may exceed the system's limit
            self._sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 24)
        self._sock.bind((self.address, self.port))
        self._stop = os.eventfd(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _socket(self):
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def _run(self):
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        poll.register(self._stop, select.POLLIN)
        while not any(fd == self._stop for fd, _ in poll.poll()):
            with contextlib.suppress(OSError):
                self._messages.append(self._sock.recv(1 << 16))

    def url(self, options="", scheme="syslog+udp"):
        return f"{scheme}://{self.address}:{self.port}/" + (f"?{options}" if options else "")

    def messages(self):
        return list(self._messages)

    def message_lists(self):
        return [self._messages]

    def count(self):
        return len(self._messages)

    def cursor(self):
        return Cursor(self.message_lists)

    def refuse(self):
        """Closed: the sender gets ECONNREFUSED."""
        if self._sock.fileno() >= 0:
            os.eventfd_write(self._stop, 1)
            self._thread.join(5)
            self._sock.close()
            os.close(self._stop)

    close = refuse

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

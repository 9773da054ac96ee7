"""A client of /v1/tail on the daemon's Unix socket, or on <sock>, which is connected. It reads in a thread of its own, unless reading=False; with pause_at=N only until it
has N lines, and on after resume()."""

import json
import os
import socket
import threading
import time
from urllib.parse import urlencode

from .wait import wait_for


class Tail:
    def __init__(self, d, reading=True, headers=None, receive_buffer=None, pause_at=None, sock=None, host="localhost", **query):
        self._daemon = d
        self._sock = sock or socket.socket(socket.AF_UNIX)
        if receive_buffer:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if not sock:
            directory = os.open(d.env["STATE_PATH"], os.O_PATH | os.O_DIRECTORY)
            try:
                self._sock.connect(f"/proc/self/fd/{directory}/api.sock")
            finally:
                os.close(directory)
        self._in = self._sock.makefile("rb")
        head = "".join(f"{k}: {v}\r\n" for k, v in (headers or {}).items())
        self._sock.sendall(f"GET /v1/tail?{urlencode(query, doseq=True)} HTTP/1.1\r\nHost: {host}\r\n{head}\r\n".encode())
        self.status = int(self._in.readline().split()[1])
        self.headers = dict(line.decode().strip().split(": ", 1) for line in iter(self._in.readline, b"\r\n"))
        self.whole = None  # True: it ended in order
        self.lines = []    # as they came
        self.times = []    # ... and when
        self._thread = None
        self._pause_at = pause_at
        self._resumed = threading.Event()
        if self.status != 200:
            self.text = self._in.read(int(self.headers["content-length"])).decode()
        elif reading:
            self.read()

    def read(self):
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            self.whole = self._read_chunks()
        except (OSError, ValueError):  # the connection, or our end of it, was closed
            self.whole = False

    def _read_chunks(self):
        """False: cut off before the last chunk."""
        rest = b""
        while size := self._in.readline():
            n = int(size, 16)
            data = self._in.read(n + 2)
            if len(data) < n + 2:
                return False
            assert data.endswith(b"\r\n")
            if n == 0:
                assert not rest
                return True
            *lines, rest = (rest + data[:-2]).split(b"\n")
            self.lines += lines
            self.times += [time.monotonic()] * len(lines)
            if self._pause_at and len(self.lines) >= self._pause_at:
                self._resumed.wait()
                self._pause_at = None
        return False

    def resume(self):
        self._resumed.set()

    def events(self):
        return [json.loads(line) for line in list(self.lines)]

    def messages(self):
        return [e["message"].encode() for e in self.events() if "message" in e]

    def wait(self, n, timeout):
        """Waits until <n> lines have come."""
        wait_for(lambda: len(self.lines) >= n, timeout, lambda: f"{n} lines, not {len(self.lines)}\n{self._daemon.tail(20)}")
        return self

    def wait_end(self, timeout):
        wait_for(lambda: self.whole is not None, timeout, lambda: f"the end, after {len(self.lines)} lines")
        return self

    def close(self):
        self.resume()
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._sock.close()
        if self._thread:
            self._thread.join(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

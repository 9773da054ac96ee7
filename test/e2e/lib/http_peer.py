"""An HTTP receiver that answers as the test says (connections: see peer.py), and answers that several tests use."""

import dataclasses
import gzip
import json
import threading
import time
import zlib
from typing import Any, Optional

from .peer import Deframer, Ended, StreamPeer


@dataclasses.dataclass
class Answer:
    """The answer to one request."""

    status: int = 200
    headers: dict = dataclasses.field(default_factory=dict)
    body: bytes = b""
    delay: float = 0            # seconds before it is sent
    cut: Optional[str] = None   # "before" the answer, in the "body", or "after" it: then the connection ends…
    how: str = "reset"          # … in this way ("reset" or "fin")
    length: Optional[int] = None  # a false Content-Length
    raw: Any = None             # bytes or an iterable of bytes, sent instead of all that
    never: bool = False         # no answer at all; the connection stays open
    counts: Optional[bool] = None  # whether the lines count as received; by default those of a 2xx do


@dataclasses.dataclass
class Request:
    """One complete request, as it was received."""

    conn: int
    at: float
    method: str
    target: str
    headers: dict               # names in lower case
    raw: bytes                  # the body as sent
    body: bytes                 # … inflated
    answer: Optional[Answer] = None

    def records(self):
        """The body as JSON objects: one, an array, or one per line."""
        text = self.body.strip()
        if text.startswith(b"["):
            return json.loads(text)
        if "ndjson" in self.headers.get("content-type", ""):
            return [json.loads(line) for line in text.split(b"\n") if line]
        return [json.loads(text)] if text else []

    def messages(self):
        """The messages in it: of JSON the "message", of anything else each line (octet-counted frames are split)."""
        if "json" in self.headers.get("content-type", ""):
            return [r["message"].encode("utf-8", "surrogatepass") for r in self.records()]
        deframer = Deframer()
        found = deframer.feed(self.body)
        return found + [deframer.rest] if deframer.rest else found


class Http(StreamPeer):
    """An HTTP/1.1 receiver. <answers> is a list of Answer (or a status), used in order, then <default>; or a function of the
    request that returns an Answer, a status, or None for the default."""

    def __init__(self, answers=(), default=200, **options):
        self.requests = []
        self.answers = answers if callable(answers) else list(answers)
        self.default = default
        self.cut_requests = 0   # requests that did not arrive completely
        self.busy = 0           # requests being answered now, and the maximum
        self.busy_max = 0
        self._accepted = []
        self._lock = threading.Lock()
        super().__init__(**options)

    def url(self, options="", path="/", host=None, userinfo=""):
        scheme = "https" if self.tls else "http"
        at = f"{userinfo}@" if userinfo else ""
        return f"{scheme}://{at}{host or self.host}:{self.port}{path}" + (f"?{options}" if options else "")

    def messages_of(self, request):
        return request.messages()

    def message_lists(self):
        return [self._accepted]

    def statuses(self):
        return [r.answer.status for r in list(self.requests)]

    def accepted(self):
        """The requests whose lines count as received."""
        return [r for r in list(self.requests) if _counts(r.answer)]

    def _decide(self, request):
        answer = None
        if callable(self.answers):
            answer = self.answers(request)
        elif self.answers:
            answer = self.answers.pop(0)
        if answer is None:
            answer = self.default
        return Answer(answer) if isinstance(answer, int) else answer

    def serve(self, conn):
        buffer = bytearray()
        while True:
            request = self._request(conn, buffer)
            with self._lock:  # one at a time, so that there is an order of arrival
                request.answer = self._decide(request)
                self.requests.append(request)
                if _counts(request.answer):
                    self._accepted += self.messages_of(request)
                self.busy += 1
                self.busy_max = max(self.busy_max, self.busy)
            try:
                self._answer(conn, request.answer)
            finally:
                with self._lock:
                    self.busy -= 1
            if request.headers.get("connection", "").lower() == "close":
                return

    def _request(self, conn, buffer):
        while (end := buffer.find(b"\r\n\r\n")) < 0:
            self._more(conn, buffer)
        lines = bytes(buffer[:end]).decode("latin-1").split("\r\n")
        del buffer[:end + 4]
        method, target, _ = lines[0].split(" ", 2)
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if headers.get("expect", "").lower() == "100-continue":
            conn.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in headers.get("transfer-encoding", ""):
            raw = self._chunked(conn, buffer)
        else:
            raw = self._exactly(conn, buffer, int(headers.get("content-length", 0)))
        return Request(conn.index, time.monotonic(), method, target, headers, raw, _inflate(raw, headers))

    def _more(self, conn, buffer):
        try:
            buffer += conn.read()
        except (Ended, OSError):
            if buffer:
                self.cut_requests += 1
            raise

    def _exactly(self, conn, buffer, size):
        while len(buffer) < size:
            self._more(conn, buffer)
        data = bytes(buffer[:size])
        del buffer[:size]
        return data

    def _chunked(self, conn, buffer):
        out = bytearray()
        while True:
            while (end := buffer.find(b"\r\n")) < 0:
                self._more(conn, buffer)
            size = int(bytes(buffer[:end]).split(b";")[0], 16)
            del buffer[:end + 2]
            out += self._exactly(conn, buffer, size + 2)[:size]
            if not size:
                return bytes(out)

    def _answer(self, conn, a):
        if a.delay:
            conn.wait(0, until=time.monotonic() + a.delay)
        while a.never:
            conn.wait(0, until=time.monotonic() + 3600)
        if a.cut == "before":
            raise Ended(a.how)
        if a.raw is not None:
            for piece in [a.raw] if isinstance(a.raw, bytes) else a.raw:
                conn.write(piece)
        else:
            conn.write(_head(a) + (a.body[:len(a.body) // 2] if a.cut == "body" else a.body))
        if a.cut:
            raise Ended(a.how)


def _counts(answer):
    return 200 <= answer.status < 300 if answer.counts is None else answer.counts


def _head(a):
    lines = [f"HTTP/1.1 {a.status} {_REASONS.get(a.status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in a.headers.items()]
    if a.status not in (204, 304) or a.body or a.length is not None:
        lines.append(f"Content-Length: {len(a.body) if a.length is None else a.length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


_REASONS = {200: "OK", 204: "No Content", 429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable"}


def _inflate(raw, headers):
    coding = headers.get("content-encoding", "").lower()
    if coding == "gzip":
        return gzip.decompress(raw)
    return zlib.decompress(raw) if coding == "deflate" else raw


def too_large(limit):
    """answers=: 413 for a body above <limit> bytes."""
    return lambda request: 413 if len(request.body) > limit else None


def poison(needle, status=400):
    """answers=: <status> for a body that contains <needle>."""
    return lambda request: status if needle in request.body else None


def endless(piece=b"x" * 65536):
    """raw=: a 200 whose body does not end."""
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n%s\r\n" % (len(piece), piece)
    while True:
        yield chunk

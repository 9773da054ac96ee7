"""GELF receivers: NUL-ended objects over TCP, one datagram each over UDP, one POST each. messages() are the short messages. Every
object is checked: valid JSON of version 1.1 with host, timestamp and level, on one line."""

import json

from .http_peer import Http
from .peer import SyslogTcp, SyslogUdp


def message_of(data):
    record = json.loads(data.decode("utf-8"))
    assert record["version"] == "1.1" and record["host"] and record["short_message"], data[:300]
    assert isinstance(record["timestamp"], (int, float)) and record["level"] in (3, 6) and "_id" not in record, data[:300]
    assert b"\n" not in data and b"\0" not in data, data[:300]
    return record["short_message"].encode("utf-8", "surrogatepass")


class GelfTcp(SyslogTcp):
    """gelf+tcp, and with tls= gelf+tls."""

    said = None  # bytes that it sends before each read

    def url(self, options="", host=None):
        return super().url(options, host).replace("syslog+", "gelf+", 1)

    def serve(self, conn):
        rest = b""
        try:
            while True:
                if self.said:
                    conn.write(self.said)
                *whole, rest = (rest + conn.read()).split(b"\0")
                conn.messages += map(message_of, whole)
        finally:
            conn.rest = rest


class _Datagrams:
    """The socket of a GelfUdp: each datagram is a message."""

    def __init__(self, sock):
        self._sock = sock

    def recv(self, size):
        return message_of(self._sock.recv(size))

    def recvfrom(self, size):
        data, sender = self._sock.recvfrom(size)
        return message_of(data), sender

    def __getattr__(self, name):
        return getattr(self._sock, name)


class GelfUdp(SyslogUdp):
    """gelf+udp."""

    def url(self, options="", scheme="gelf+udp"):
        return super().url(options, scheme)

    def _socket(self):
        return _Datagrams(super()._socket())


class GelfHttp(Http):
    """gelf+http, and with tls= gelf+https."""

    def url(self, options="", path="/", host=None, userinfo=""):
        return "gelf+" + super().url(options, path, host, userinfo)

    def messages_of(self, request):
        assert request.target == "/gelf" and request.headers["content-type"] == "application/json", request
        return [message_of(request.body)]

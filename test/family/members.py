"""The members of the drain family, for the suite: a receiver for each, its URL, and how to make it misbehave. A new drain is
one more row in MEMBERS, and a class if its receiver is of a new kind.

What every member has:
  start(tools, **options)   a receiver (lib/peer.py, lib/http_peer.py); <options> are its own
  url(tools, peer, more)    the drain's URL, with the options <more> added
  silent()                  options for start(): a receiver that accepts connections and never confirms a line...
  heal(peer)                ... and the call that makes it a good one
  unknown()                 options for start(): ... and sends valid answers of its protocol that are in no table
  garbage(tools)            a receiver that sends garbage; heal() works for it too
  half_sent(peer)           the number of incomplete frames or requests
"""

import random
import select
from urllib.parse import urlsplit

from lib import http_peer
from lib import peer as sim
from lib.elastic import Elastic
from lib.gelf import GelfHttp, GelfTcp, GelfUdp
from lib.intake import ClickHouse, Datadog, NewRelic, Splunk, VictoriaLogs
from lib.loki import Loki
from lib.otlp import Otlp
from lib.redis import FakeRedis
from lib.websocket import PING, FakeWebSocket, close_frame


class Tools:
    """What members build receivers with."""

    def __init__(self, closing, certs):
        self.closing = closing
        self.certs = certs
        self.shown = "good"     # the certificate of the receivers
        self.demanding = False  # receivers require a client certificate, too


def nonsense(size=3000):
    return random.Random(size).randbytes(size)


class Member:
    stream = True      # it has connections, which can be refused, reset, counted
    confirmed = True   # a line counts when the peer confirms it; else: when the kernel took it
    tls = False
    userinfo = False   # its URL may hold user and password
    cuts = (3100, 5000)  # bytes after which its first connections are cut: in the middle of a batch
    piecemeal = False  # parts of a batch are confirmed separately, so a cut connection may have delivered some

    def __init__(self, name, options="", one_connection=""):
        self.name = name
        self.options = options
        self.one_connection = one_connection  # the option that limits it to one connection

    def context(self, tools):
        if not self.tls:
            return None
        return tools.certs.demanding() if tools.demanding else tools.certs.server(tools.shown)

    def url(self, tools, peer, more="", userinfo=""):
        ca = "ca=" + tools.certs.option() if self.tls else ""
        url = peer.url("&".join(filter(None, [ca, self.options, more])))
        return url.replace("://", f"://{userinfo}@", 1) if userinfo else url

    def heal(self, peer):
        peer.mode = sim.NORMAL

    def half_sent(self, peer):
        """Number of incomplete frames or requests."""
        return 0

    def address(self, peer):
        return urlsplit(peer.url()).netloc


class SyslogSpeaker(sim.SyslogTcp):
    """Sends garbage all the time while it receives."""

    def serve(self, conn):
        deframer = sim.Deframer()
        while True:
            conn.write(nonsense())
            conn.messages += deframer.feed(conn.read())


class Mumbler(sim.StreamPeer):
    """Speaks no protocol, and only listens."""

    def __init__(self):
        self.received = []
        super().__init__()

    def serve(self, conn):
        conn.write(nonsense())
        self.received.append(conn.read())


class Syslog(Member):
    confirmed = False

    def __init__(self, name, tls=False, **more):
        super().__init__(name, **more)
        self.tls = tls

    def start(self, tools, **options):
        return tools.closing(sim.SyslogTcp(tls=self.context(tools), **options))

    def silent(self):
        return {"mode": sim.TLS_STALL if self.tls else sim.NEVER_READ, "rcvbuf": 4096}

    def garbage(self, tools):
        return tools.closing(SyslogSpeaker(tls=self.context(tools)))

    def half_sent(self, peer):
        return sum(bool(c.rest) for c in peer.connections)


class UdpSpeaker(sim.SyslogUdp):
    """Answers each datagram with garbage."""

    def _run(self):
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        poll.register(self._stop, select.POLLIN)
        while not any(fd == self._stop for fd, _ in poll.poll()):
            data, sender = self._sock.recvfrom(1 << 16)
            self._messages.append(data)
            self._sock.sendto(nonsense(), sender)


class Udp(Member):
    stream = confirmed = False

    def start(self, tools, **options):
        return tools.closing(sim.SyslogUdp(**options))

    def garbage(self, tools):
        return tools.closing(UdpSpeaker())

    def heal(self, peer):
        pass


class Gelf(Syslog):
    def start(self, tools, **options):
        return tools.closing(GelfTcp(tls=self.context(tools), **options))

    def garbage(self, tools):
        peer = self.start(tools)
        peer.said = nonsense()
        return peer


class GelfUdpSpeaker(UdpSpeaker, GelfUdp):
    pass


class GelfDatagrams(Udp):
    def start(self, tools, **options):
        return tools.closing(GelfUdp(**options))

    def garbage(self, tools):
        return tools.closing(GelfUdpSpeaker())


class Http(Member):
    userinfo = True

    def __init__(self, name, options="", tls=False):
        super().__init__(name, options, one_connection="connections=1")
        self.tls = tls

    def receiver(self):
        return http_peer.Http

    def start(self, tools, **options):
        return tools.closing(self.receiver()(tls=self.context(tools), **options))

    def silent(self):
        return {"default": http_peer.Answer(never=True, counts=False)}

    def unknown(self):
        return {"default": 599}

    def garbage(self, tools):
        return self.start(tools, default=http_peer.Answer(599, raw=nonsense(), cut="after", how="fin"))

    def half_sent(self, peer):
        return peer.cut_requests

    def heal(self, peer):
        super().heal(peer)
        peer.default = 200


class SyslogOverHttp(Http):
    """The same receiver; the URL decides what is posted."""

    def url(self, tools, peer, more="", userinfo=""):
        return "syslog+" + super().url(tools, peer, more, userinfo)


class GelfOverHttp(Http):
    def receiver(self):
        return GelfHttp


class ElasticSearch(Http):
    """The strict fake: messages() fails on a wrong byte, and it recognises documents that it already has."""

    def receiver(self):
        return Elastic

    def silent(self):
        return {"whole": lambda _: http_peer.Answer(never=True, counts=False)}

    def unknown(self):
        return {"decide": lambda *_: (799, "some_new_exception")}

    def garbage(self, tools):
        return self.start(tools, whole=lambda _: http_peer.Answer(599, raw=nonsense(), cut="after", how="fin", counts=False))

    def heal(self, peer):
        super().heal(peer)
        peer.whole = peer.decide = None


class Intake(Http):
    """A strict fake that has whole() and violations, as those of lib/intake.py."""

    def __init__(self, name, fake, options="", tls=False, key=""):
        super().__init__(name, options, tls)
        self.fake = fake
        self.key = key  # its userinfo, where it must have one

    def url(self, tools, peer, more="", userinfo=""):
        return super().url(tools, peer, more, userinfo or self.key)

    def receiver(self):
        return self.fake

    def silent(self):
        return {"whole": lambda _: http_peer.Answer(never=True, counts=False)}

    def unknown(self):
        return {"whole": lambda _: 599}

    def garbage(self, tools):
        return self.start(tools, whole=lambda _: http_peer.Answer(599, raw=nonsense(), cut="after", how="fin", counts=False))

    def heal(self, peer):
        super().heal(peer)
        peer.whole = None


class AckedSplunk(Intake):
    def start(self, tools, **options):
        return super().start(tools, ack=lambda number: True, **options)


class Redis(Member):
    userinfo = piecemeal = True

    def __init__(self, name, options="", tls=False):
        super().__init__(name, options)
        self.tls = tls

    def start(self, tools, **options):
        return tools.closing(FakeRedis(tls=self.context(tools), **options))

    def silent(self):
        return {"answer": lambda *_: b""}

    def unknown(self):
        return {"answer": lambda *_: b"-FROBNICATED not today\r\n"}

    def garbage(self, tools):
        return self.start(tools, answer=lambda *_: nonsense())

    def half_sent(self, peer):
        return peer.half

    def heal(self, peer):
        super().heal(peer)
        peer.answer = None


class WebSocket(Member):
    userinfo = piecemeal = True

    def __init__(self, name, options="", tls=False):
        super().__init__(name, options)
        self.tls = tls
        if "compression=none" not in options:
            self.cuts = (400, 600)

    def start(self, tools, **options):
        return tools.closing(FakeWebSocket(tls=self.context(tools), **options))

    def silent(self):
        return {"on": lambda op, *_: b"" if op == PING else None}

    def unknown(self):
        return {"on": lambda op, *_: close_frame(4321, b"not today") if op == PING else None}

    def garbage(self, tools):
        return self.start(tools, on=lambda op, *_: nonsense() if op == PING else None)

    def half_sent(self, peer):
        return peer.half

    def heal(self, peer):
        super().heal(peer)
        peer.on = None


MEMBERS = [
    Syslog("syslog+tcp"),
    Syslog("syslog+tcp-octet", options="framing=octet"),
    Syslog("syslog+tls", tls=True),
    Udp("syslog+udp"),
    Http("http"),
    Http("http-ndjson", "batch=ndjson&linger=20ms"),
    Http("http-array-gzip", "batch=array&linger=20ms&compression=gzip"),
    Http("https", "batch=ndjson&linger=20ms", tls=True),
    SyslogOverHttp("syslog+http", "linger=20ms"),
    SyslogOverHttp("syslog+https-octet", "linger=20ms&framing=octet&compression=gzip", tls=True),
    ElasticSearch("es+http", "linger=20ms"),
    ElasticSearch("es-gzip", "linger=20ms&compression=gzip", tls=True),
    Intake("loki+http", Loki, "linger=20ms"),
    Intake("loki+https-gzip", Loki, "linger=20ms&compression=gzip", tls=True),
    Intake("victorialogs+http", VictoriaLogs, "linger=20ms"),
    Intake("clickhouse+https-gzip", ClickHouse, "linger=20ms&table=logs&compression=gzip", tls=True),
    Intake("splunk+http", Splunk, "linger=20ms", key=":token"),
    Intake("splunk+https-gzip", Splunk, "linger=20ms&compression=gzip", tls=True, key=":token"),
    AckedSplunk("splunk+http-ack", Splunk, "linger=20ms&ack=true", key=":token"),
    Intake("datadog+https", Datadog, "linger=20ms", tls=True, key=":key"),
    Intake("newrelic+https", NewRelic, "linger=20ms", tls=True, key=":key"),
    Intake("otlp+http", Otlp, "linger=20ms"),
    Intake("otlp+https-json-gzip", Otlp, "linger=20ms&encoding=json&compression=gzip", tls=True),
    Gelf("gelf+tcp"),
    Gelf("gelf+tls", tls=True),
    GelfDatagrams("gelf+udp"),
    GelfOverHttp("gelf+http"),
    Redis("redis"),
    Redis("redis-list", "mode=list&maxlen=100000&format=raw"),
    Redis("rediss-stream", "mode=stream", tls=True),
    Redis("redis-gzip", "compression=gzip&format=raw"),
    WebSocket("ws"),
    WebSocket("ws-text", "compression=none&format=json"),
    WebSocket("wss", tls=True),
]
STREAMS = [m for m in MEMBERS if m.stream]
CONFIRMED = [m for m in MEMBERS if m.confirmed]

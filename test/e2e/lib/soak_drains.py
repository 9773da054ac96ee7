"""The soak's receivers, and the faults of each of them."""

import collections

from . import http_peer, peer
from .elastic import Elastic
from .redis import RedisServer

CHECKPOINT_S = 3  # CHECKPOINT_MS, the write itself, and a busy machine
COMMIT_S = 15     # syslog over TCP: a young connection, plus COMMIT_LAG_MS


class HttpDrain:
    """A receiver and its faults. <again>: seconds of lines that may arrive twice per fault that affects it."""

    name = "http"
    again = CHECKPOINT_S
    ordered = True

    def __init__(self, rng, tmp):
        self.rng = rng
        self.sick = None
        self.timeout = 30  # s; a changed value makes another URL, and the route stays the same
        self.forgiven = collections.defaultdict(set)  # lines that it cannot get, by stream
        self.peer = self.make(tmp)

    def mine(self, log_line):
        """Is a line of the daemon's log about this drain?"""
        return f":{self.peer.port}#" in log_line

    def make(self, tmp):
        return http_peer.Http(answers=self.answer)

    def url(self):
        return self.peer.url(f"batch=ndjson&linger=20ms&timeout={self.timeout}s")

    def answer(self, _request):
        if self.sick == "errors":
            return self.rng.choice([500, 502, 503, 429, None, None])
        if self.sick == "answers cut" and self.rng.random() < 0.3:
            return http_peer.Answer(200, cut="before")  # accepted, but the answer is lost
        if self.sick == "slow":
            return http_peer.Answer(200, delay=0.3)
        return None

    FAULTS = ["errors", "answers cut", "slow", "refuses", "resets", "stalls"]

    def fall_ill(self, fault):
        self.sick = fault
        if fault == "refuses":
            self.peer.refuse("reset")
        elif fault == "resets":
            self.peer.end_all("reset")
        elif fault == "stalls":
            self.peer.mode = peer.NEVER_READ
            self.peer.end_all("fin")

    def recover(self):
        if self.sick == "refuses":
            self.peer.resume()
        if self.sick == "stalls":
            self.peer.mode = peer.NORMAL
            self.peer.end_all("reset")
        self.sick = None

    def receiver(self):
        return self.peer

    def close(self):
        self.peer.close()


class ElasticDrain(HttpDrain):
    name = "elasticsearch"
    again = 0
    ordered = False  # lines answered with 429 arrive later than those behind them

    def make(self, tmp):
        return Elastic(decide=self.decide, whole=self.whole)

    def url(self):
        return self.peer.url(f"linger=20ms&index=soak&timeout={self.timeout}s")

    def decide(self, _document, _id):
        return 429 if self.sick == "items refused" and self.rng.random() < 0.1 else None

    def whole(self, _request):
        return self.rng.choice([503, 429, None]) if self.sick == "errors" else None

    def mangle(self, items):
        del items
        return http_peer.Answer(200, cut="before", counts=False)

    FAULTS = ["errors", "items refused", "answers cut", "refuses", "resets", "stalls"]

    def fall_ill(self, fault):
        super().fall_ill(fault)
        self.peer.mangle = self.mangle if fault == "answers cut" else None

    def recover(self):
        self.peer.mangle = None
        super().recover()


class RedisDrain(HttpDrain):
    name = "redis"

    def make(self, tmp):
        return RedisServer(tmp / "redis")

    def url(self):
        return self.peer.url(f"mode=list&key=lines&format=raw&timeout={self.timeout}s", path="/")

    FAULTS = ["restarts", "connections killed", "pauses"]

    def fall_ill(self, fault):
        self.sick = fault
        if fault == "restarts":
            self.peer.restart()
        elif fault == "connections killed":
            self.peer.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        else:
            self.peer.call("CLIENT", "PAUSE", 700, "WRITE")

    def recover(self):
        self.sick = None

    def receiver(self):
        return self.peer.list("lines")


class SyslogDrain(HttpDrain):
    name = "syslog+tcp"
    again = COMMIT_S

    def make(self, tmp):
        return peer.SyslogTcp()

    def url(self):
        return self.peer.url(f"timeout={self.timeout}s")

    FAULTS = ["refuses", "resets", "stalls", "hangs up"]

    def fall_ill(self, fault):
        super().fall_ill(fault)
        if fault == "hangs up":
            self.peer.end_all("fin")

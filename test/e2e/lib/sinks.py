"""Two drains that confirm in different ways, syslog over TCP and HTTP: both must be unaffected by what happens to a file. Import
the fixture `sinks` where it is used."""

import pytest

from .daemon import SLOW
from .oracle import parse
from .wait import stays, wait_for


class Sinks:
    def __init__(self, oracle, tcp, web):
        self.oracle = oracle
        self.tcp = tcp
        self.web = web
        self.peers = (tcp, web)

    def drains(self, tcp="framing=octet", web="batch=ndjson"):
        """For Daemon(drains=…): every stream to both, with those options."""
        return [("*", self.tcp.url(tcp)), ("*", self.web.url(web))]

    def refuse(self):
        for peer in self.peers:
            peer.refuse("reset")

    def resume(self):
        for peer in self.peers:
            peer.resume()

    def complete(self, timeout=30, streams=None):
        """Waits until both have every line written so far."""
        for peer in self.peers:
            progress = self.oracle.progress(peer, streams)
            wait_for(progress.complete, timeout * SLOW, progress.text)

    def exact(self, timeout=30, streams=None, **allowed):
        """Waits until both have exactly what was written (lib/oracle.py: assert_exact); of <streams>, if given."""
        self.complete(timeout, streams)
        for report in self.reports(streams):
            report.assert_exact(**allowed)

    def reports(self, streams=None):
        """The oracle's report for each; lines of streams other than <streams> are left out."""
        for peer in self.peers:
            found = [(m, parse(m)) for m in peer.messages()]
            yield self.oracle.check([m for m, p in found if not p or streams is None or p[0] in streams], streams)

    def wait_count(self, n, timeout=30):
        """Waits until both have <n> messages, ours or not."""
        for peer in self.peers:
            wait_for(lambda: peer.count() >= n, timeout * SLOW, lambda: f"{n} messages; {peer.count()} are there")

    def quiet(self, seconds=0.5):
        """Nothing more arrives: no duplicate, no extra copy."""
        counts = [peer.count() for peer in self.peers]
        stays(lambda: [peer.count() for peer in self.peers] == counts, seconds, "a message came that nobody wrote")

    def texts(self):
        """The messages of each, in order, without the syslog header."""
        return ([m.split(b" - - - ", 1)[1] for m in self.tcp.messages()], self.web.messages())


@pytest.fixture
def sinks(oracle, syslog_tcp, http):
    return Sinks(oracle, syslog_tcp(), http())

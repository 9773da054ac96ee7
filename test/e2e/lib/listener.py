"""A daemon with syslog inputs on free ports, and messages for it that end in `n=<number>`: the numbers tell which of the messages
sent have arrived."""

import re
import socket
import ssl

from .daemon import SLOW
from .wait import wait_for

NUMBER = re.compile(rb" n=(\d+)\b")
MIB = 1 << 20


def numbers(peer):
    return [int(m[1]) for m in map(NUMBER.search, peer.messages()) if m]


def complete(peer, n, timeout=40):
    wait_for(lambda: len(set(numbers(peer))) >= n, timeout * SLOW, lambda: f"{n} messages; {len(set(numbers(peer)))} came")
    assert set(numbers(peer)) == set(range(n))


class Listener:
    """A daemon with syslog inputs on free ports, and with the containers of <node> if given."""

    def __init__(self, daemon, drains, tmp_path, name="ports", node=None, descriptors=None, **env):
        self.ports_file = tmp_path / name
        self.ports_file.unlink(missing_ok=True)
        base = {"INPUT_PORTS_FILE": self.ports_file, "INPUT_ADDRESS": "127.0.0.1", "SYSLOG_TCP": "true"}
        if not node:
            base["KUBERNETES"] = "false"
        for kind in ("TCP", "UDP", "TLS"):
            base[f"SYSLOG_{kind}_PORT"] = "0"
        self.daemon = daemon(node, drains=drains, env=base | env, descriptors=descriptors)
        self.ports = dict(line.split() for line in self.ports_file.read_text().splitlines())

    def port(self, kind="tcp"):
        return int(self.ports[f"syslog_{kind}"])

    def connect(self, kind="tcp", source=None):
        """A connection, from <source> (any of 127.0.0.0/8) if given; for "tls" without a handshake."""
        return socket.create_connection(("127.0.0.1", self.port(kind)), 90, (source, 0) if source else None)

    def secure(self, certs, source=None):
        """As connect(), with TLS."""
        context = ssl.create_default_context(cafile=certs.pem("ca"))
        return context.wrap_socket(self.connect("tls", source), server_hostname="localhost")

    def metric(self, name, on="tcp", **labels):
        return self.daemon.metrics().get(name, input=f"syslog_{on}", **labels) or 0


def tls_settings(certs):
    """The variables that SYSLOG_TLS needs."""
    return {"SYSLOG_TLS": "true", "SYSLOG_TLS_CERT_PEM_FILE": certs.pem("good"), "SYSLOG_TLS_KEY_PEM_FILE": certs.key("good")}


def line(i, host="web", size=0):
    return b"<13>1 - %s app - - - %s n=%d\n" % (host.encode(), b"x" * size, i)

"""A long outage of a drain while lines arrive over TCP and HTTP: senders are slowed, no accepted line is lost, memory stays
within its bound. It lasts ten seconds here; LOGTRAIN_OUTAGE_SECONDS=600 runs the long version, which prints figures."""

import http.client
import json
import os
import re
import socket
import threading
import time

from lib.daemon import SANITIZED, SLOW
from lib.wait import Pacer, wait_for

SECONDS = int(os.environ.get("LOGTRAIN_OUTAGE_SECONDS", "10"))
RATE = 1000  # lines a second, of each sender
PAD = "x" * 400


class Sender(threading.Thread):
    """Sends numbered lines at RATE until stop(); <accepted> of them were accepted."""

    def __init__(self):
        super().__init__(daemon=True)
        self.pacer = Pacer(RATE)
        self.accepted = 0
        self.refused = 0
        self.ended = threading.Event()  # of the outage: from then on all due lines are sent at once

    def stop(self):
        self.pacer.stopped.set()
        self.join(60 * SLOW)
        assert not self.is_alive(), "the sender hangs"

    def run(self):
        while n := self.pacer.due(100):
            self.send(n)


class Tcp(Sender):
    def __init__(self, port):
        super().__init__()
        self.sock = socket.create_connection(("127.0.0.1", port), 10)
        self.sock.settimeout(None)

    def send(self, n):
        lines = "".join(f"<14>1 - tcp.shop app - - - {PAD} n={self.accepted + i}\n" for i in range(n))
        self.sock.sendall(lines.encode())  # blocks while the daemon does not read
        self.accepted += n

    def stop(self):
        super().stop()
        self.sock.shutdown(socket.SHUT_WR)


class Http(Sender):
    def __init__(self, daemon):
        super().__init__()
        self.daemon_under_test = daemon
        self.conn = None

    def send(self, n):
        body = "".join(json.dumps({"hostname": "http.shop", "message": f"{PAD} n={self.accepted + i}"}) + "\n" for i in range(n))
        if not self.conn:
            self.conn = http.client.HTTPConnection("127.0.0.1", self.daemon_under_test.port, timeout=60)
        self.conn.request("POST", "/events", body.encode())
        answer = self.conn.getresponse()
        answer.read()
        if answer.status == 200:
            self.accepted += n
            return
        assert answer.status == 503, answer.status
        self.refused += n
        wait = int(answer.headers["Retry-After"])
        if self.ended.wait(wait):
            self.pacer.stopped.wait(0.2)


def numbers(web, hostname):
    found = []
    for request in web.accepted():
        for record in request.records():
            if record["hostname"] == hostname:
                found.append(int(record["message"].rsplit("n=", 1)[1]))
    return found


def test_N05_a_long_outage(daemon, http, tmp_path):
    web = http()
    ports = tmp_path / "ports"
    small = {"JOURNAL_BYTES_MAX": "4m", "JOURNAL_HOST_BYTES_MAX": "2m", "MAX_LINE": "64k"} if SECONDS < 60 else {}
    d = daemon(drains=[("*", web.url("batch=ndjson&linger=10ms"))], env={
        "KUBERNETES": "false", "SYSLOG_TCP": "true", "SYSLOG_TCP_PORT": "0", "INPUT_ADDRESS": "127.0.0.1", "HTTP_EVENTS": "true",
        "INPUT_PORTS_FILE": ports, **small})
    bound = int(re.search(r"memory_bound=(\d+)", d.log())[1])
    tcp = Tcp(int(dict(line.split() for line in ports.read_text().splitlines())["syslog_tcp"]))
    post = Http(d)
    for sender in (tcp, post):
        sender.start()
    wait_for(lambda: numbers(web, "tcp.shop") and numbers(web, "http.shop"), 20 * SLOW, "the first lines")
    web.default = 503  # stopped first, so that no answer for accepted lines is lost with its connection
    wait_for(lambda: d.drain(web.port)["counters"]["records_out"] == web.count(), 20 * SLOW, "what was taken to be confirmed")
    web.refuse("reset")
    web.default = 200
    began = time.monotonic()
    wait_for(lambda: time.monotonic() - began > SECONDS and post.refused and d.metric("logtrain_input_stalls_total",
                                                                                      input="syslog_tcp"),
             SECONDS + 60 * SLOW, "the outage to be over, and senders to be slowed")
    held, peak = d.metric("logtrain_journal_bytes"), d.rss_peak()
    web.resume()
    for sender in (tcp, post):
        sender.ended.set()
    before = post.accepted
    wait_for(lambda: post.accepted > before, 60 * SLOW, "HTTP to be taken again")
    for sender in (tcp, post):
        sender.stop()
    for hostname, sender in (("tcp.shop", tcp), ("http.shop", post)):
        wait_for(lambda: len(numbers(web, hostname)) >= sender.accepted, 120 * SLOW,
                 lambda: f"{sender.accepted} of {hostname}; {len(numbers(web, hostname))} came")
        assert numbers(web, hostname) == list(range(sender.accepted)), "each once, in order"
    assert d.metric("logtrain_input_dropped_records_total") == 0
    assert held <= (4 if small else 64) << 20
    if not SANITIZED:
        assert peak < bound
    print(f"outage of {SECONDS} s: accepted {tcp.accepted} by TCP, {post.accepted} by HTTP (refused {post.refused}); all arrived once; "
          f"journals held {held / 2**20:.1f} MiB, RSS at most {peak / 2**20:.1f} MiB, bound {bound / 2**20:.1f} MiB")

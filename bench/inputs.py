#!/usr/bin/env python3
"""The cost of network inputs.

TCP:  syslog over TCP in, syslog over TCP out: lines per CPU-second of the program between, beside rsyslog's imtcp and imptcp
      doing the same in the same run, in turn.
HTTP: NDJSON to /events in, NDJSON by the http drain out: lines per CPU-second.
UDP:  how many datagrams per second are received before the first is lost, beside rsyslog's imudp.

    bench/inputs.py [--tools build/release/bench] [--logtrain build/release/logtrain] [--lines 1000000] [--only tcp,http,udp]
"""
import argparse
import http.client
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from run import Sink, cpu_seconds, memory_kib  # noqa: E402

MESSAGE = b"<14>1 2026-11-20T10:15:00.123456Z web.shop app 1 - - " + b"x" * 140 + b"\n"
EVENT = (b'{"severity":6,"facility":1,"hostname":"web.shop","tag":"app","time":"2026-11-20T10:15:00.123456Z","message":"'
         + b"x" * 140 + b'"}\n')
RSYSLOG = """\
global(workDirectory="{work}" maxMessageSize="64k")
main_queue(queue.type="FixedArray" queue.size="100000" queue.dequeueBatchSize="4096")
module(load="{module}")
ruleset(name="r") {{ action(type="omfwd" target="127.0.0.1" port="{out}" protocol="tcp"
    template="RSYSLOG_SyslogProtocol23Format") }}
input(type="{module}" address="127.0.0.1" port="{port}" ruleset="r" {options})
"""
FIRST_RATE, LAST_RATE = 10_000, 2_000_000  # datagrams per second: where the search begins and ends
SEARCH_STEPS = 5  # of halving the distance between a rate without loss and one with: to 3 %


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Logtrain:
    """A logtrain that receives by <transport> (tcp, udp, http) and sends everything to <url>."""

    def __init__(self, args, work, url, transport):
        self.ports = os.path.join(work, "ports")
        self.http = os.path.join(work, "http")
        env = {"PATH": os.environ["PATH"], "KUBERNETES": "false", "HTTP_PORT": "0", "HTTP_PORT_FILE": self.http, "STATE_PATH": "",
               "JOURNAL_BYTES_MAX": "2g", "JOURNAL_HOST_BYTES_MAX": "2g"}  # what syslog over TCP has not confirmed yet is there
        if transport == "http":
            env["HTTP_EVENTS"] = "true"
        else:
            env |= {f"SYSLOG_{transport.upper()}": "true", f"SYSLOG_{transport.upper()}_PORT": "0", "INPUT_PORTS_FILE": self.ports}
        self.proc = subprocess.Popen([args.logtrain, "--drain", f"*={url}"], env=env, stderr=subprocess.DEVNULL)
        name = self.http if transport == "http" else self.ports
        while not os.path.exists(name):
            time.sleep(0.01)
        with open(name, encoding="ascii") as f:
            self.port = int(f.read().split()[-1])

    def lost(self):
        """Datagrams that the kernel dropped, or that found journals full."""
        with open(self.http, encoding="ascii") as f:
            page = urllib.request.urlopen(f"http://127.0.0.1:{int(f.read())}/metrics").read().decode()
        found = re.findall(r'^logtrain_input_dropped_records_total\{[^}]*reason="(\w+)"\} (\d+)', page, re.M)
        return {reason: int(n) for reason, n in found if n != "0"}

    def close(self):
        self.proc.kill()
        self.proc.wait()


class Rsyslog:
    def __init__(self, work, module, out):
        udp = module == "imudp"
        self.port = free_port(socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
        conf = os.path.join(work, "rsyslog.conf")
        with open(conf, "w", encoding="ascii") as f:
            f.write(RSYSLOG.format(work=work, module=module, out=out, port=self.port,
                                   options='rcvbufSize="8m"' if udp else ""))
        self.proc = subprocess.Popen(["rsyslogd", "-n", "-f", conf, "-i", os.path.join(work, "pid")], stderr=subprocess.DEVNULL)
        time.sleep(2)

    def lost(self):
        return {}

    def close(self):
        self.proc.kill()
        self.proc.wait()


def send_tcp(port):
    """A function that sends so many thousand lines over one connection."""
    s = socket.create_connection(("127.0.0.1", port), 60)
    block = MESSAGE * 1000

    def send(thousands):
        for _ in range(thousands):
            s.sendall(block)
    return send


def send_http(port):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = EVENT * 1000

    def send(thousands):
        for _ in range(thousands):
            c.request("POST", "/events", body)
            answer = c.getresponse()
            answer.read()
            if answer.status != 200:
                sys.exit(f"bench: /events answers {answer.status}")
    return send


def touch_memory(size):
    """Makes the host of a virtual machine provide the memory of a journal beforehand, for all alike."""
    got = bytearray(size)
    for at in range(0, size, 4096):
        got[at] = 1


def run_stream(name, start, sender, kind, lines):
    """Lines per CPU-second of the program between sender and sink."""
    touch_memory(lines * 300)
    with tempfile.TemporaryDirectory() as work:
        sink = Sink(tools, kind)
        program = start(work, sink.port)
        try:
            send = sender(program.port)
            send(1)  # warm
            sink.wait_for(1000, 60, name)
            before, began = cpu_seconds(program.proc.pid), time.monotonic()
            send(lines // 1000)
            sink.wait_for(lines // 1000 * 1000 + 1000, 300, name)
            cpu, took = cpu_seconds(program.proc.pid) - before, time.monotonic() - began
            return {"name": name, "lines": lines, "lines_per_cpu_second": int(lines / cpu), "lines_per_second": int(lines / took),
                    "rss_mib": round(memory_kib(program.proc.pid, "VmHWM") / 1024, 1)}
        finally:
            program.close()
            sink.close()


def settled(sink, want):
    """What has arrived, when it is complete or nothing more arrives."""
    got, since = sink.records(), time.monotonic()
    while got < want and time.monotonic() < since + 1.5:
        time.sleep(0.05)
        now = sink.records()
        if now != got:
            got, since = now, time.monotonic()
    return got


class Udp:
    """Finds the rate at which a program begins to lose datagrams."""

    def __init__(self, name, start, seconds):
        self.name, self.start, self.seconds, self.tries = name, start, seconds, []

    def try_once(self, program, sink, rate):
        """Sends at <rate>: (number missing, the rate achieved)."""
        before = sink.records()
        out = subprocess.run([f"{tools}/bench_blast", str(program.port), str(rate), str(int(self.seconds * 1000))], check=True,
                             capture_output=True, text=True).stdout.split()
        sent, real = int(out[0]), int(int(out[0]) * 1000 / int(out[1]))
        lost = sent - (settled(sink, before + sent) - before)
        self.tries.append({"rate": rate, "sent_per_second": real, "lost": lost})
        return lost, real

    def takes(self, program, sink, rate):
        """The rate when all arrive, 0 when not. Two of three attempts must lose, because the machine does other work too."""
        for _ in range(3):
            lost, real = self.try_once(program, sink, rate)
            if not lost:
                return real
            if len([t for t in self.tries if t["rate"] == rate and t["lost"]]) == 2:
                return 0
        return 0

    def run(self):
        with tempfile.TemporaryDirectory() as work:
            sink = Sink(tools, "syslog")
            program = self.start(work, sink.port)
            try:
                self.try_once(program, sink, 1000)
                good, bad, rate = 0, None, FIRST_RATE
                while rate <= LAST_RATE and bad is None:
                    real = self.takes(program, sink, rate)
                    good = max(good, real)
                    if real and real < 0.8 * rate:  # this machine cannot send more
                        return self.result(program, good, True)
                    bad, rate = (None if real else rate), rate * 2
                for _ in range(SEARCH_STEPS if good and bad else 0):
                    rate = (good + bad) // 2
                    real = self.takes(program, sink, rate)
                    good, bad = (max(good, real), bad) if real else (good, rate)
                    if bad - good < good // 20:
                        break
                return self.result(program, good, False)
            finally:
                program.close()
                sink.close()

    def result(self, program, rate, sender_is_limit):
        return {"name": self.name, "without_loss_per_second": rate, "sender_is_limit": sender_is_limit, "dropped": program.lost(),
                "tries": self.tries}


def table(rows):
    print(f"\n{'':40}{'lines/s':>12}{'lines/CPU-s':>14}{'RSS MiB':>9}")
    for r in rows:
        print(f"{r['name']:40}{r['lines_per_second']:>12,}{r['lines_per_cpu_second']:>14,}{r['rss_mib']:>9.1f}")


def middle(runs):
    """The run in the middle of several, by CPU."""
    return sorted(runs, key=lambda r: r["lines_per_cpu_second"])[len(runs) // 2]


def streams(args, rsyslog, result):
    """TCP and HTTP, in turn, so that a noisy minute affects all alike."""
    kinds = []
    if "tcp" in args.only:
        kinds.append(("logtrain syslog_tcp -> syslog+tcp", send_tcp, "syslog", args.lines,
                      lambda w, o: Logtrain(args, w, f"syslog+tcp://127.0.0.1:{o}/", "tcp")))
        for module in ("imtcp", "imptcp") if rsyslog else ():
            kinds.append((f"rsyslog {module} -> omfwd", send_tcp, "syslog", args.lines // 5,
                          lambda w, o, m=module: Rsyslog(w, m, o)))
    if "http" in args.only:
        kinds.append(("logtrain http_events -> http ndjson", send_http, "http", args.lines,
                      lambda w, o: Logtrain(args, w, f"http://127.0.0.1:{o}/?batch=ndjson", "http")))
    runs = {k[0]: [] for k in kinds}
    for _ in range(args.repeat):
        for name, sender, sink, lines, start in kinds:
            runs[name].append(run_stream(name, start, sender, sink, lines))
    result["streams"] = rows = [middle(r) for r in runs.values()]
    table(rows)
    ours = runs.get("logtrain syslog_tcp -> syslog+tcp")
    for module in ("imtcp", "imptcp"):
        theirs = runs.get(f"rsyslog {module} -> omfwd")
        if ours and theirs:
            found = [a["lines_per_cpu_second"] / b["lines_per_cpu_second"] for a, b in zip(ours, theirs)]
            result[f"times_{module}"] = round(statistics.median(found), 1)
            print(f"syslog over TCP: {statistics.median(found):.1f} x rsyslog {module} per CPU-second "
                  f"({min(found):.1f} to {max(found):.1f} in {args.repeat} rounds)")


def datagrams(args, rsyslog, result):
    kinds = [("logtrain syslog_udp", lambda w, o: Logtrain(args, w, f"syslog+tcp://127.0.0.1:{o}/", "udp"))]
    if rsyslog:
        kinds.append(("rsyslog imudp", lambda w, o: Rsyslog(w, "imudp", o)))
    result["udp"] = rows = [Udp(name, start, args.udp_seconds).run() for name, start in kinds]
    print(f"\n{'':40}{'datagrams/s without loss':>26}")
    for r in rows:
        limit = "  (as fast as can be sent here)" if r["sender_is_limit"] else ""
        print(f"{r['name']:40}{r['without_loss_per_second']:>26,}{limit}")
    if rsyslog and rows[1]["without_loss_per_second"]:
        result["times_imudp"] = round(rows[0]["without_loss_per_second"] / rows[1]["without_loss_per_second"], 1)
        print(f"syslog over UDP: {result['times_imudp']} x the rate at which rsyslog imudp begins to lose")


def main():
    global tools
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--tools", default="build/release/bench")
    a.add_argument("--logtrain", default="build/release/logtrain")
    a.add_argument("--lines", type=int, default=1_000_000)
    a.add_argument("--repeat", type=int, default=3, help="runs of each, in turn; the median counts (default 3)")
    a.add_argument("--udp-seconds", type=float, default=5,
                   help="of each try: longer than queues and buffers hold what is not kept up with (default 5)")
    a.add_argument("--only", default="tcp,http,udp")
    a.add_argument("--json", metavar="FILE", help="the result as JSON (default: the last line of the output)")
    args = a.parse_args()
    args.only = args.only.split(",")
    tools = args.tools
    rsyslog = shutil.which("rsyslogd")
    if not rsyslog:
        print("bench: rsyslogd is not installed: its rows are skipped", file=sys.stderr)
    result = {}
    if "tcp" in args.only or "http" in args.only:
        streams(args, rsyslog, result)
    if "udp" in args.only:
        datagrams(args, rsyslog, result)
    text = json.dumps(result)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            f.write(text + "\n")
    print("\n" + text)


if __name__ == "__main__":
    main()

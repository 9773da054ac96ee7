#!/usr/bin/env python3
"""What hearing costs: syslog over TCP in, syslog over TCP out, lines per CPU-second, beside rsyslog's imtcp and imptcp doing the
same in the same run; and how many datagrams per second UDP takes without a loss, beside imudp.

    bench/inputs.py [--tools build/release/bench] [--logtrain build/release/logtrain] [--lines 500000]
"""
import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from run import Sink, cpu_seconds, memory_kib  # noqa: E402

MESSAGE = b"<14>1 2026-11-20T10:15:00.123456Z web.shop app 1 - - " + b"x" * 140 + b"\n"
RSYSLOG = """\
global(workDirectory="{work}" maxMessageSize="64k")
main_queue(queue.type="FixedArray" queue.size="100000" queue.dequeueBatchSize="4096")
module(load="{module}")
ruleset(name="r") {{ action(type="omfwd" target="127.0.0.1" port="{out}" protocol="tcp"
    template="RSYSLOG_SyslogProtocol23Format") }}
input(type="{module}" address="127.0.0.1" port="{port}" ruleset="r" {options})
"""


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Logtrain:
    def __init__(self, args, work, out, transport):
        self.ports = os.path.join(work, "ports")
        self.http = os.path.join(work, "http")
        env = {"PATH": os.environ["PATH"], "KUBERNETES": "false", "HTTP_PORT": "0", "HTTP_PORT_FILE": self.http, "STATE_PATH": "",
               f"SYSLOG_{transport.upper()}": "true", f"SYSLOG_{transport.upper()}_PORT": "0", "INPUT_PORTS_FILE": self.ports,
               "JOURNAL_BYTES_MAX": "1g", "JOURNAL_HOST_BYTES_MAX": "1g"}  # what syslog over TCP has not confirmed yet lies there
        self.proc = subprocess.Popen([args.logtrain, "--drain", f"*=syslog+tcp://127.0.0.1:{out}/"], env=env,
                                     stderr=subprocess.DEVNULL)
        while not os.path.exists(self.ports):
            time.sleep(0.01)
        with open(self.ports, encoding="ascii") as f:
            self.port = int(f.read().split()[1])

    def lost(self):
        """Datagrams that the kernel, or a full journal, dropped."""
        with open(self.http, encoding="ascii") as f:
            page = urllib.request.urlopen(f"http://127.0.0.1:{int(f.read())}/metrics").read().decode()
        found = re.findall(r'^logtrain_input_dropped_records_total\{[^}]*reason="(?:full|kernel)"\} (\d+)', page, re.M)
        return sum(map(int, found))

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

    def close(self):
        self.proc.kill()
        self.proc.wait()


def run_tcp(name, start, lines):
    """Lines per CPU-second of the program between sender and sink."""
    with tempfile.TemporaryDirectory() as work:
        sink = Sink(tools, "syslog")
        program = start(work, sink.port)
        try:
            with socket.create_connection(("127.0.0.1", program.port), 10) as s:
                s.sendall(MESSAGE * 1000)  # warm
                sink.wait_for(1000, 60, name)
                before, began = cpu_seconds(program.proc.pid), time.monotonic()
                block = MESSAGE * 1000
                for _ in range(lines // 1000):
                    s.sendall(block)
                sink.wait_for(lines + 1000, 300, name)
                cpu = cpu_seconds(program.proc.pid) - before
            return {"name": name, "lines_per_cpu_second": int(lines / cpu), "lines_per_second": int(lines / (time.monotonic() - began)),
                    "peak_kib": memory_kib(program.proc.pid, "VmHWM")}
        finally:
            program.close()
            sink.close()


def run_udp(name, start, rate, seconds):
    """Datagrams sent at <rate> per second for <seconds>: how many did not arrive."""
    with tempfile.TemporaryDirectory() as work:
        sink = Sink(tools, "syslog")
        program = start(work, sink.port)
        try:
            sent, began = 0, time.monotonic()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.connect(("127.0.0.1", program.port))
                while (now := time.monotonic() - began) < seconds:
                    while sent < rate * now:
                        s.send(MESSAGE)
                        sent += 1
                    time.sleep(0.0005)
            time.sleep(3)
            return {"name": name, "rate": rate, "sent": sent, "lost": sent - sink.records()}
        finally:
            program.close()
            sink.close()


def main():
    global tools
    a = argparse.ArgumentParser()
    a.add_argument("--tools", default="build/release/bench")
    a.add_argument("--logtrain", default="build/release/logtrain")
    a.add_argument("--lines", type=int, default=500000)
    a.add_argument("--udp-rates", default="20000,50000,100000")
    args = a.parse_args()
    tools = args.tools
    rows = [run_tcp("logtrain syslog_tcp -> syslog+tcp", lambda w, o: Logtrain(args, w, o, "tcp"), args.lines)]
    rsyslog = shutil.which("rsyslogd")
    if not rsyslog:
        print("bench: rsyslogd is not installed: its rows are skipped", file=sys.stderr)
    for module in ("imtcp", "imptcp") if rsyslog else ():
        rows.append(run_tcp(f"rsyslog {module} -> omfwd", lambda w, o, m=module: Rsyslog(w, m, o), args.lines // 5))
    for rate in map(int, filter(None, args.udp_rates.split(","))):
        rows.append(run_udp("logtrain syslog_udp", lambda w, o: Logtrain(args, w, o, "udp"), rate, 3))
        if rsyslog:
            rows.append(run_udp("rsyslog imudp", lambda w, o: Rsyslog(w, "imudp", o), rate, 3))
    for row in rows:
        print(json.dumps(row))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What each drain costs: lines per CPU-second of the sender, and the same work by rsyslog's omfwd, omelasticsearch and omhiredis.
All rows are measured in one run, in turn, over the same lines, so that their ratios count and not the figures. Redis is the
real one; the other receivers only count (bench_sink, receivers.py). "gzip alone" is zlib at logtrain's level over the same
records, in pieces as large as a request: nothing that compresses can be faster than that."""
import argparse
import glob
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zlib

from run import Logtrain, Sink, cpu_seconds, memory_kib, middle

HERE = os.path.dirname(os.path.abspath(__file__))
PIECE = 1 << 20  # bytes of a request
REDIS_KEEP = 100_000  # records that lists and streams keep, so that the server does not grow

# name, receiver, URL, part of the lines (a request for each line costs more than the line)
DRAINS = [
    ("syslog+tcp", "syslog", "syslog+tcp://127.0.0.1:{port}", 1),
    ("syslog+udp", "self", "syslog+udp://127.0.0.1:{port}", 1),
    ("syslog+http", "http", "syslog+http://127.0.0.1:{port}/", 1),
    ("http", "requests", "http://127.0.0.1:{port}/", 0.05),
    ("http ndjson", "http", "http://127.0.0.1:{port}/?batch=ndjson", 1),
    ("http ndjson gzip", "requests", "http://127.0.0.1:{port}/?batch=ndjson&compression=gzip", 1),
    ("es", "elastic", "es+http://127.0.0.1:{port}/?index=bench", 1),
    ("es gzip", "elastic", "es+http://127.0.0.1:{port}/?index=bench&compression=gzip", 1),
    ("loki", "loki", "loki+http://127.0.0.1:{port}/", 1),
    ("victorialogs", "http", "victorialogs+http://127.0.0.1:{port}/", 1),
    ("clickhouse", "http", "clickhouse+http://127.0.0.1:{port}/?table=bench", 1),
    ("splunk", "splunk", "splunk+http://:token@127.0.0.1:{port}/", 1),
    ("otlp", "otlp", "otlp+http://127.0.0.1:{port}/", 1),
    ("otlp json", "otlp", "otlp+http://127.0.0.1:{port}/?encoding=json", 1),
    ("redis publish", "redis", "redis://127.0.0.1:{port}/bench", 1),
    ("redis list", "redis", "redis://127.0.0.1:{port}/bench?mode=list&maxlen=%d" % REDIS_KEEP, 1),
    ("redis stream", "redis", "redis://127.0.0.1:{port}/bench?mode=stream&maxlen=%d" % REDIS_KEEP, 1),
    ("ws gzip", "websocket", "ws://127.0.0.1:{port}/", 1),
    ("ws text", "websocket", "ws://127.0.0.1:{port}/?compression=none", 1),
    ("gelf+tcp", "self-tcp", "gelf+tcp://127.0.0.1:{port}", 1),
    ("null", "self", "null://", 1),
]
# name, receiver, output module, its action, drain to compare
RSYSLOG = [
    ("rsyslog omfwd", "syslog", "", 'type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp" '
     'template="RSYSLOG_SyslogProtocol23Format"', "syslog+tcp"),
    ("rsyslog omelasticsearch", "elastic", "omelasticsearch",
     'type="omelasticsearch" server="127.0.0.1" serverport="{port}" template="document" searchIndex="bench" '
     'searchType="" bulkmode="on" maxbytes="1m" queue.type="LinkedList" queue.size="200000" queue.dequeueBatchSize="4096"', "es"),
    ("rsyslog omhiredis", "redis", "omhiredis",
     'type="omhiredis" server="127.0.0.1" serverport="{port}" mode="publish" key="bench" template="gelf" '
     'queue.type="LinkedList" queue.size="200000" queue.dequeueBatchSize="4096"', "redis publish"),
]
TEMPLATES = '''
template(name="document" type="list" option.jsonf="on") {
    property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
    property(outname="hostname" name="hostname" format="jsonf")
    property(outname="tag" name="syslogtag" format="jsonf")
    property(outname="message" name="msg" format="jsonf")
    property(outname="severity" name="syslogseverity" format="jsonf")
    property(outname="facility" name="syslogfacility" format="jsonf")
}
template(name="gelf" type="list") {
    constant(value="{\\"version\\":\\"1.1\\",\\"host\\":\\"")
    property(name="hostname")
    constant(value="\\",\\"short_message\\":\\"")
    property(name="msg" format="json")
    constant(value="\\",\\"timestamp\\":")
    property(name="timereported" dateFormat="unixtimestamp")
    constant(value=",\\"level\\":")
    property(name="syslogseverity")
    constant(value="}")
}
'''


class Receiver(Sink):
    """receivers.py, used like bench_sink."""

    def __init__(self, kind):  # pylint: disable=super-init-not-called
        self.proc = subprocess.Popen([sys.executable, f"{HERE}/receivers.py", kind], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True, bufsize=1)
        self.port = int(self.proc.stdout.readline())


class Redis:
    """redis-server without a file; counts the commands that carry a record."""

    def __init__(self):
        with socket.create_server(("127.0.0.1", 0)) as s:
            self.port = s.getsockname()[1]
        self.proc = subprocess.Popen(["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                                      "--appendonly", "no"], stdout=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while True:
            try:
                self.sock = socket.create_connection(("127.0.0.1", self.port))
                break
            except ConnectionRefusedError:
                if time.monotonic() > end:
                    sys.exit("bench: redis-server does not listen")
                time.sleep(0.02)
        self.file = self.sock.makefile("rb")

    def records(self):
        self.sock.sendall(b"INFO commandstats\r\n")
        text = self.file.read(int(self.file.readline()[1:]) + 2).decode()
        return sum(int(line.split("calls=")[1].split(",")[0]) for line in text.splitlines()
                   if line.startswith(("cmdstat_publish:", "cmdstat_rpush:", "cmdstat_xadd:")))

    def close(self):
        self.file.close()
        self.sock.close()
        self.proc.kill()
        self.proc.wait()


class Self:
    """Logtrain's own count of what it has handed over. <tcp>: a reader is needed."""

    def __init__(self, args, tcp):
        self.sink = Sink(args.tools, "syslog")
        self.port = self.sink.port
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if not tcp:
            self.udp.bind(("127.0.0.1", 0))
            self.port = self.udp.getsockname()[1]
        self.sender = None

    def records(self):
        return sum(d["counters"]["records_in"] for d in self.sender.drains())

    def close(self):
        self.udp.close()
        self.sink.close()


class Asked(Logtrain):
    """Logtrain, asked for its drains over the socket in its STATE_PATH."""

    def __init__(self, args, node, url):
        self.program = args.logtrain
        super().__init__(args, node, url)

    def drains(self):
        try:
            done = subprocess.run([self.program, "drains"], env=self.env, capture_output=True, timeout=20, check=True)
            shown = json.loads(done.stdout)
        except (OSError, ValueError, subprocess.SubprocessError):
            return []
        return shown["drains"] if isinstance(shown, dict) else shown


class Rsyslog:
    def __init__(self, work, node, port, module, action):
        conf = os.path.join(work, "rsyslog.conf")
        load = f'module(load="{module}")' if module else ""
        with open(conf, "w", encoding="ascii") as f:
            f.write(f'''global(workDirectory="{work}")
main_queue(queue.type="LinkedList" queue.size="200000")
module(load="imfile" mode="inotify")
{load}
{TEMPLATES}
input(type="imfile" File="{node}/pods/*/app/0.log" Tag="bench" ruleset="out")
ruleset(name="out") {{ action({action.format(port=port)}) }}
''')
        for state in glob.glob(f"{work}/imfile-state:*"):
            os.remove(state)
        self.proc = subprocess.Popen(["rsyslogd", "-n", "-f", conf, "-i", os.path.join(work, "pid")],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = self.proc.pid

    def close(self):
        self.proc.kill()
        self.proc.wait()


def receiver(args, kind):
    if kind == "redis":
        return Redis()
    if kind in ("self", "self-tcp"):
        return Self(args, kind == "self-tcp")
    if kind in ("syslog", "http"):
        return Sink(args.tools, kind)
    return Receiver("http" if kind == "requests" else kind)


def measure(name, start, there, lines):
    """One sender from its start until everything has arrived."""
    began = time.monotonic()
    p = start(there.port)
    try:
        if isinstance(there, Self):
            there.sender = p
        while there.records() < lines:
            if time.monotonic() - began > 300 or p.proc.poll() is not None:
                sys.exit(f"bench: {name}: {there.records()} of {lines} records")
            time.sleep(0.05)
        took, cpu = time.monotonic() - began, cpu_seconds(p.pid)
        return {"name": name, "lines": lines, "seconds": round(took, 3), "cpu_seconds": round(cpu, 3),
                "lines_per_second": round(lines / took), "lines_per_cpu_second": round(lines / cpu),
                "rss_mib": round(memory_kib(p.pid, "VmHWM") / 1024, 1)}
    finally:
        p.close()
        there.close()


def tree(args, work, lines):
    node = os.path.join(work, f"node-{lines}")
    if not os.path.exists(node):
        subprocess.run([f"{args.tools}/bench_genlog", node, str(args.files), str(lines), str(args.bytes)], check=True)
    for path in glob.glob(f"{node}/pods/*/app/0.log"):  # into the page cache, for all alike
        with open(path, "rb") as f:
            while f.read(1 << 20):
                pass
    return node


def gzip_alone(args, work, fmt):
    """zlib over the lines as stdout:// formats them, and nothing else."""
    lines = min(args.lines, 500_000)
    node = tree(args, work, lines)
    env = dict(os.environ, KUBERNETES="true", KUBERNETES_LOG_PATH=f"{node}/containers", READ_FROM="start", HTTP_PORT="0",
               STATE_PATH=tempfile.mkdtemp(dir=node, prefix="state-"), LOG_LEVEL="error")
    text, cpu, lines_read = bytearray(), 0.0, 0
    with subprocess.Popen([args.logtrain, "--drain", f"*=stdout://?format={fmt}"], env=env, stdout=subprocess.PIPE) as p:
        while lines_read < lines:
            part = p.stdout.read1(PIECE)
            lines_read += part.count(b"\n")
            text += part
        p.kill()
    for at in range(0, len(text), PIECE):
        piece = bytes(text[at:at + PIECE])
        before = resource.getrusage(resource.RUSAGE_SELF)
        z = zlib.compressobj(args.gzip_level, zlib.DEFLATED, 31)
        z.compress(piece)
        z.flush()
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"name": f"gzip alone, {fmt}", "lines": lines, "seconds": round(cpu, 3), "cpu_seconds": round(cpu, 3),
            "lines_per_second": round(lines / cpu), "lines_per_cpu_second": round(lines / cpu), "rss_mib": None}


def drains(args, work):
    rows = []
    for name, kind, url, part in DRAINS:
        if args.only and args.only not in name:
            continue
        lines = int(args.lines * part)
        node = tree(args, work, lines)
        rows.append(middle([measure(name, lambda port, u=url: Asked(args, node, u.format(port=port)), receiver(args, kind), lines)
                          for _ in range(args.repeat)]))
        show(rows[-1])
    return rows


def others(args, work):
    rows = []
    few = min(args.lines, 200_000)
    for name, kind, module, action, _ in RSYSLOG:
        if args.only and args.only not in name:
            continue
        if not shutil.which("rsyslogd") or (module and not glob.glob(f"/usr/lib/*/rsyslog/{module}.so")):
            print(f"bench: {name} is not installed: its row is skipped", file=sys.stderr)
            continue
        node = tree(args, work, few)
        rows.append(middle([measure(name, lambda port, m=module, a=action: Rsyslog(work, node, port, m, a),
                                  receiver(args, kind), few) for _ in range(args.repeat)]))
        show(rows[-1])
    return rows


def show(r):
    rss = "" if r["rss_mib"] is None else f"{r['rss_mib']:.1f}"
    print(f"{r['name']:26}{r['lines_per_second']:>12,}{r['lines_per_cpu_second']:>14,}{rss:>9}", flush=True)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--lines", type=int, default=1_000_000)
    a.add_argument("--bytes", type=int, default=200, help="of a line in the file (default 200)")
    a.add_argument("--files", type=int, default=10)
    a.add_argument("--workers", type=int, default=1)
    a.add_argument("--repeat", type=int, default=3, help="runs of each, of which the middle one counts (default 3)")
    a.add_argument("--only", metavar="TEXT", help="rows whose name has it")
    a.add_argument("--gzip-level", type=int, default=1, help=argparse.SUPPRESS)
    a.add_argument("--logtrain", default="build/release/logtrain", help=argparse.SUPPRESS)
    a.add_argument("--tools", default="build/release/bench", help=argparse.SUPPRESS)
    args = a.parse_args()

    with tempfile.TemporaryDirectory(prefix="logtrain-bench-") as work:
        print(f"{'':26}{'lines/s':>12}{'lines/CPU-s':>14}{'RSS MiB':>9}")
        rows = drains(args, work) + others(args, work)
        for fmt in ("json", "raw"):
            if not args.only or args.only in "gzip alone":
                rows.append(gzip_alone(args, work, fmt))
                show(rows[-1])
    speed = {r["name"]: r["lines_per_cpu_second"] for r in rows}
    print()
    for name, _, _, _, drain in RSYSLOG:
        if name in speed and drain in speed:
            print(f"{drain}: {speed[drain] / speed[name]:.1f} x {name} per CPU-second")
    for name, fmt in (("http ndjson gzip", "json"), ("ws gzip", "raw")):
        alone = speed.get(f"gzip alone, {fmt}")
        if name in speed and alone:
            print(f"{name}: {speed[name] / alone:.0%} of gzip alone")
    print("\n" + json.dumps({"drains": rows}))


if __name__ == "__main__":
    main()

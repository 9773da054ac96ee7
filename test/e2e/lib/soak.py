"""The soak (X02, S01): one daemon, four drains, writers, and a seeded stream of faults; then the account.

    scripts/soak --minutes 10 --seed 7     faults of all kinds
    scripts/soak --kills 200               SIGKILL and rotation only
    scripts/soak --sweep 1                 the n-th failing call (S10)

Every fault is printed when it is injected. At the end, for each drain:

    written = delivered + declared lost + pending, and how many came twice

Lost may only be what kubelet's rotation (MaxFiles) or a deleted pod took from the node before it was read by a daemon that was
killed meanwhile; the harness knows which lines were in those files. Everything else that is missing fails the run.
"""

import argparse
import collections
import gzip
import random
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

from . import http_peer, peer
from .daemon import SLOW, Daemon
from .elastic import Elastic
from .node import Node, Writer
from .oracle import Oracle, parse
from .preload import Clock, Files
from .redis import RedisServer
from .sweep import Sweep
from .wait import Timeout, wait_for

IN_FLIGHT = 16 * 1024 * 1024  # INFLIGHT_MAX: bytes that may be on their way to all drains of a worker
CHECKPOINT_S = 3             # CHECKPOINT_MS, the write itself, and a machine that is busy
COMMIT_S = 15                # syslog over TCP: a young connection and COMMIT_LAG_MS behind
LINE = 120


class HttpDrain:
    """A receiver and what can go wrong with it. <again>: seconds of lines that may come twice per fault that hits it."""

    name = "http"
    again = CHECKPOINT_S
    ordered = True

    def __init__(self, rng, tmp):
        self.rng = rng
        self.sick = None
        self.peer = self.make(tmp)

    def make(self, tmp):
        return http_peer.Http(answers=self.answer)

    def url(self):
        return self.peer.url("batch=ndjson&linger=20ms")

    def answer(self, _request):
        if self.sick == "errors":
            return self.rng.choice([500, 502, 503, 429, None, None])
        if self.sick == "answers cut" and self.rng.random() < 0.3:
            return http_peer.Answer(200, cut="before")  # taken, and nobody hears of it
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
    ordered = False  # what is answered with 429 comes later than what stood behind it

    def make(self, tmp):
        return Elastic(decide=self.decide, whole=self.whole)

    def url(self):
        return self.peer.url("linger=20ms&index=soak")

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
        return self.peer.url("mode=list&key=lines&format=raw", path="/")

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
        return self.peer.url()

    FAULTS = ["refuses", "resets", "stalls", "hangs up"]

    def fall_ill(self, fault):
        super().fall_ill(fault)
        if fault == "hangs up":
            self.peer.end_all("fin")


class Soak:
    """<seconds> of faults, or <kills> times SIGKILL. run() raises AssertionError when the account is not as promised."""

    def __init__(self, seed, seconds=None, kills=None, rate=150, drains=None, tmp=None, say=print, containers=3):
        self.rng = random.Random(seed)
        self.seconds = seconds
        self.kills = kills
        self.rate = rate
        self.say = say
        self.began = time.monotonic()
        self.tmp = Path(tmp or tempfile.mkdtemp(prefix="logtrain-soak-"))
        self.own_tmp = tmp is None
        self.node = Node(self.tmp / "node", seed=seed)
        self.oracle = Oracle()
        kinds = [HttpDrain, ElasticDrain, RedisDrain] + ([] if kills else [SyslogDrain])
        if RedisServer.available():
            say(f"WITHOUT redis: {RedisServer.available()}")
            kinds.remove(RedisDrain)
        self.drains = [kind(self.rng, self.tmp) for kind in kinds]
        self.counts = collections.Counter()
        self.deaths = 0          # of the daemon
        self.removed = collections.defaultdict(set)  # stream: lines in files that are no more
        self.short = []          # streams of pods that were deleted
        self.healing = []        # (when, what)
        self.containers = containers
        self.lock = threading.Lock()

    # the node

    def _make_node(self):
        self.writers, self.live = [], []
        for i in range(self.containers):
            c = self.node.container(f"web-{i}", max_files=30 if self.kills else 5)
            c.removing = lambda path, name=f"s{i}": self._note_removed(name, path)
            source = self.oracle.source(f"s{i}", LINE)
            self.writers.append(Writer(c, source, rate=self.rate))
            self.live.append(c)

    def _note_removed(self, name, path):
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as f:
            found = (parse(line.rstrip(b"\n")) for line in f)
            self.removed[name].update(seq for stream, seq, _ in filter(None, found) if stream == name)

    def _rotate(self, c):
        before = set(c.rotated())
        doomed = sorted(before)[:max(0, len(before) - (c.max_files - 2))]
        for path in doomed:
            c.removing(path)
        c.rotate(reopen_delay=0.02, late=0.02)

    # faults: each says what it does, and heals by itself

    def _later(self, seconds, what):
        self.healing.append((time.monotonic() + seconds, what))

    def _heal(self, everything=False):
        now = time.monotonic()
        due = [h for h in self.healing if everything or h[0] <= now]
        self.healing = [h for h in self.healing if h not in due]
        for _, what in due:
            what()

    def fault_kill(self):
        self.daemon.kill()
        self.deaths += 1
        if self.rng.random() < 0.5:
            self._rotate(self.rng.choice(self.live))
        self.daemon.start()
        return "kill -9"

    def fault_stop(self):
        self.daemon.stop()
        self.daemon.start()
        return "SIGTERM and start"

    def fault_rotate(self):
        c = self.rng.choice(self.live)
        for _ in range(self.rng.choice([1, 1, 1, 3])):
            self._rotate(c)
        return f"rotation of {c.pod.name}"

    def fault_pod(self):
        name = f"short-{len(self.short)}"
        c = self.node.container(name)
        source = self.oracle.source(name, LINE)
        c.write(source.take(self.rng.randrange(1, 300)))
        self.short.append((name, self.deaths))
        self._later(self.rng.uniform(0.3, 2), lambda: self._delete(c, name))
        return f"pod {name}: {source.written} lines, then deleted"

    def _delete(self, c, name):
        self.removed[name].update(range(self.oracle.sources[name].written))
        c.pod.delete()

    def fault_drain(self):
        drain = self.rng.choice(self.drains)
        if drain.sick:
            return None
        fault = self.rng.choice(drain.FAULTS)
        drain.fall_ill(fault)
        self._later(self.rng.uniform(0.2, 3), drain.recover)
        self.counts[f"{drain.name} {fault}"] += 1
        return f"{drain.name} {fault}"

    def fault_state(self):
        error = self.rng.choice(["ENOSPC", "EIO", "EROFS"])
        self.files.fail("write", error, "/state/cursors")
        self._later(self.rng.uniform(0.5, 3), self.files.clear)
        return f"state cannot be written: {error}"

    def fault_clock(self):
        step = self.rng.choice([-86400, -3600, -5, 5, 3600, 86400])
        self.clock.step(wall=step)
        return f"wall clock steps by {step} s"

    def fault_pause(self):
        self.daemon.pause()
        time.sleep(self.rng.uniform(0.2, 1.5))
        self.daemon.resume()
        return "SIGSTOP, SIGCONT"

    def fault_route(self):
        drain = self.rng.choice(self.drains)
        self._routes(self.drains, mistaken=drain)
        self._later(self.rng.uniform(0.2, 2), lambda: self._routes(self.drains))
        return f"route to {drain.name} refused for a mistake in its URL"

    def _routes(self, drains, mistaken=None):
        def url(d):
            return d.url() + (("&" if "?" in d.url() else "?") + "timeout=soon" if d is mistaken else "")
        self.daemon.set_routes([("*", url(d)) for d in drains])

    WEIGHTS = {"kill": 3, "stop": 1, "rotate": 6, "pod": 2, "drain": 8, "state": 1, "clock": 1, "pause": 1, "route": 1}

    def _inject(self):
        kind = self.rng.choices(list(self.WEIGHTS), self.WEIGHTS.values())[0]
        with self.lock:
            text = getattr(self, f"fault_{kind}")()
        if text:
            self.counts[kind] += 1
            self.say(f"{time.monotonic() - self.began:8.2f} s  {text}")

    # the run

    def _start(self):
        self._make_node()
        self.files, self.clock = Files(self.tmp), Clock(self.tmp)
        env = {**self.files.env, **self.clock.env,
               "LD_PRELOAD": f"{self.files.env['LD_PRELOAD']} {self.clock.env['LD_PRELOAD']}"}
        self.daemon = Daemon(self.node, routes=True, env=env, tmp=self.tmp, start=False)
        self._routes(self.drains)
        self.daemon.start()

    def _wait(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._heal()
            assert self.daemon.running(), f"the daemon has ended by itself:\n{self.daemon.tail()}"
            time.sleep(0.02)

    def _faults(self):
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            self._wait(self.rng.uniform(0.1, 1.2))
            self._inject()

    def _kill_again_and_again(self):
        for n in range(self.kills):
            self._wait(self.rng.uniform(0.05, 1))
            if self.rng.random() < 0.7:
                self._rotate(self.rng.choice(self.live))
            self.fault_kill()
            if (n + 1) % 20 == 0:
                self.say(f"{time.monotonic() - self.began:8.2f} s  {n + 1} kills")

    def run(self):
        try:
            self._start()
            if self.kills:
                self._kill_again_and_again()
            else:
                self._faults()
            self._heal(everything=True)
            for writer in self.writers:
                writer.stop()
            return self._account()
        finally:
            self.close()

    def _account(self):
        fine, rows = True, []
        for drain in self.drains:
            receiver = drain.receiver()
            seen = Seen(receiver)
            try:
                wait_for(lambda s=seen: s.complete(self.oracle, self.removed), 90 * SLOW, "every line")
            except Timeout:
                fine = False
            report = self.oracle.check(receiver.messages())
            lost = {(n, seq) for n, ranges in report.lost_ranges.items() for a, b in ranges for seq in range(a, b + 1)}
            declared = {(n, seq) for n, seq in lost if seq in self.removed[n]}
            rate = self.rate * self.containers
            hits = self.deaths + sum(n for k, n in self.counts.items() if k.startswith(drain.name + " "))
            bound = 0 if not drain.again else hits * (rate * drain.again + IN_FLIGHT // LINE // 4)
            bad = [w for w, is_so in [
                ("lines lost that were on the node", lost != declared), ("lost without a kill", lost and not self.deaths),
                ("more duplicates than promised", report.dup > bound), ("corrupt lines", report.corrupt),
                ("foreign messages", drain.name != "redis" and self._foreign(report)),
                ("out of order", drain.ordered and report.reorder)] if is_so]
            fine = fine and not bad
            rows.append(f"{drain.name:14} written {report.written:7} = delivered {report.distinct:7} + declared lost "
                        f"{len(declared):5} + pending {len(lost - declared):3}; twice {report.dup:6} (at most {bound})"
                        + "".join(f"  NOT AS PROMISED: {b}" for b in bad))
            if bad:
                rows.append(str(report))
        self.say("\nfaults: " + ", ".join(f"{k} {n}" for k, n in sorted(self.counts.items())) + f"; deaths {self.deaths}")
        for row in rows:
            self.say(row)
        self.daemon.check_report()
        assert fine, "\n".join(rows) + "\n" + self.daemon.tail(30)
        self.daemon.stop()
        return rows

    @staticmethod
    def _foreign(report):
        """Gap records are the daemon's own words."""
        return [m for m in report.foreign if b"lost" not in m]

    def close(self):
        for writer in getattr(self, "writers", ()):
            writer.stop_event.set()
        if hasattr(self, "daemon"):
            self.daemon.resume() if self.daemon.running() else None
            self.daemon.kill()
        for drain in self.drains:
            drain.close()
        self.node.close()
        if self.own_tmp and sys.exc_info()[0] is None:
            shutil.rmtree(self.tmp, ignore_errors=True)


class Seen:
    """Which lines a receiver has by now."""

    def __init__(self, receiver):
        self.cursor = receiver.cursor()
        self.lines = collections.defaultdict(set)

    def complete(self, oracle, removed):
        for message in self.cursor.fresh():
            found = parse(message)
            if found:
                self.lines[found[0]].add(found[1])
        return all(len(self.lines[n] | removed[n]) >= w for n, w in oracle.written().items())


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--minutes", type=float, default=1)
    a.add_argument("--seed", type=int, default=int(time.time()))
    a.add_argument("--kills", type=int, help="so many times SIGKILL under rotation, and no other fault")
    a.add_argument("--rate", type=int, default=150, help="lines per second of each of three containers")
    a.add_argument("--sweep", type=int, metavar="STEP",
                   help="instead: let every STEP-th malloc, open, pread, … of a short script fail (S10)")
    args = a.parse_args()
    if args.sweep:
        Sweep(say=lambda text: print(text, flush=True)).run(step=args.sweep)
        return 0
    print(f"seed {args.seed}", flush=True)
    soak = Soak(args.seed, seconds=args.minutes * 60, kills=args.kills, rate=args.rate,
                say=lambda text: print(text, flush=True))
    try:
        soak.run()
    except AssertionError as e:
        print(f"FAILED, seed {args.seed}; files in {soak.tmp}\n{e}", flush=True)
        return 1
    print("as promised")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The soak (X02, S01): one daemon, four drains, writers, and a seeded stream of faults; then the account.

    scripts/soak --minutes 10 --seed 7     faults of all kinds, under READ_FROM=end
    scripts/soak --read-from start …       … under the other setting
    scripts/soak --kills 200               SIGKILL and rotation only
    scripts/soak --sweep 1                 the n-th failing call (S10)

Every fault is printed when it is injected. Lines count from the daemon's first start. At the end, for each drain:

    written = delivered + declared lost + unexplained, and how many arrived twice

Lines are declared lost if two things are true: the node no longer has them (kubelet's rotation, a deleted pod, a damaged .gz),
and the daemon's log says, for that drain and that pod, that bytes were lost. The harness knows which lines were in those files.
In two cases the daemon cannot know that lines were lost: the state was damaged and the files were gone by then; or a pod started
less than a checkpoint before a SIGKILL and was deleted before the next start. Every other missing line is unexplained, and fails
the run.
"""

import argparse
import collections
import contextlib
import gzip
import random
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

from .daemon import SLOW, Daemon
from .node import Node, Writer
from .oracle import Oracle, parse
from .preload import Clock, Files
from .redis import RedisServer
from .soak_drains import CHECKPOINT_S, ElasticDrain, HttpDrain, RedisDrain, SyslogDrain
from .soak_order import Arrivals, Events, explain
from .sweep import Sweep
from .wait import Timeout, wait_for

IN_FLIGHT = 16 * 1024 * 1024  # INFLIGHT_MAX: bytes that may be on their way to all drains of a worker
LINE = 120


class Soak:
    """<seconds> of faults, or <kills> times SIGKILL. run() raises AssertionError when the account is not as promised."""

    def __init__(self, seed, seconds=None, kills=None, rate=150, tmp=None, say=print, containers=3, read_from="end"):
        self.read_from = read_from
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
        self.removed = collections.defaultdict(set)  # stream: lines in files that no longer exist
        self.forgiven = collections.defaultdict(set)  # ... that no longer existed when the state was found damaged
        self.mistaken = {}       # drains whose route was refused: until when the daemon may not know that it is valid again
        self.downs = []          # (killed, ready again)
        self.unwritable = []     # (from, until): the state could not be written
        self.damaged = set()     # compressed files
        self.damages = 0         # of the state, after which everything was read again
        self.pods = 0            # that were created and deleted
        self.lives = {}          # for each of them: from when until when
        self.healing = []        # (when, what)
        self.events = Events()
        self.arrivals = {d: Arrivals(d.peer) for d in self.drains}
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
        if path in self.damaged:
            return  # recorded then
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as f:
            found = (parse(line.rstrip(b"\n")) for line in f)
            self.removed[name].update(seq for stream, seq, _ in filter(None, found) if stream == name)

    def _rotate(self, c):
        before = set(c.rotated())
        doomed = sorted(before)[:max(0, len(before) - (c.max_files - 2))]
        for path in doomed:
            c.removing(path)
        c.rotate(reopen_delay=0.02, late=0.02)

    # faults: each prints what it does, and ends by itself

    def _later(self, seconds, what):
        self.healing.append((time.monotonic() + seconds, what))

    def _heal(self, everything=False):
        now = time.monotonic()
        due = [h for h in self.healing if everything or h[0] <= now]
        self.healing = [h for h in self.healing if h not in due]
        for _, what in due:
            what()

    def fault_kill(self):
        self._kill()
        if self.rng.random() < 0.5:
            self._rotate(self.rng.choice(self.live))
        self._start_again()
        return "kill -9"

    def _kill(self):
        self.daemon.kill()
        self.deaths += 1
        self.killed_at = time.monotonic()

    def _start_again(self):
        self.daemon.start()
        self.downs.append((self.killed_at, time.monotonic()))

    def _unsaved(self, name):
        """Was a pod created so shortly before a SIGKILL that no state has it, and deleted before the next start could see it?"""
        born, gone = self.lives.get(name, (0, None))
        return gone and any(born < killed < born + CHECKPOINT_S + self._unwritable_s(born, killed) and gone < ready
                            for killed, ready in self.downs)

    def _unwritable_s(self, start, end):
        """For how long the state could not be written in that time."""
        return sum(max(0, min(end, until) - max(start, since)) for since, until in self.unwritable)

    def fault_stop(self):
        """A pod is created while the daemon stops."""
        born = threading.Timer(self.rng.uniform(0, 0.3), self._pod)
        born.start()
        self.daemon.stop()
        born.join()
        self.daemon.start()
        return "SIGTERM and start"

    def fault_rotate(self):
        c = self.rng.choice(self.live)
        for _ in range(self.rng.choice([1, 1, 1, 3])):
            self._rotate(c)
        return f"rotation of {c.pod.name}"

    def fault_pod(self):
        name, lines = self._pod()
        return f"pod {name}: {lines} lines, then deleted"

    def _pod(self):
        """A pod that writes its lines at once. It is deleted later: 50 ms to 2 s of life."""
        name = f"short-{self.pods}"
        self.pods += 1
        c = self.node.container(name)
        source = self.oracle.source(name, LINE)
        self.lives[name] = time.monotonic(), None
        c.write(source.take(self.rng.randrange(1, 300)))
        self._later(self.rng.uniform(0.05, 2), lambda: self._delete(c, name))
        return name, source.written

    def _delete(self, c, name):
        lines = range(self.oracle.sources[name].written)
        self.removed[name].update(lines)
        now = time.monotonic()
        for drain in [d for d, until in self.mistaken.items() if now < until]:
            drain.forgiven[name].update(lines)  # it had no route there, and when the route comes back the pod no longer exists
        self.lives[name] = self.lives[name][0], now
        c.pod.delete()

    def fault_gz(self):
        """Damages the newest compressed file."""
        packed = sorted(((p.stat().st_mtime, f"s{i}", p) for i, c in enumerate(self.live) for p in c.rotated()
                         if p.suffix == ".gz" and p not in self.damaged))
        if not packed:
            return None
        _, name, path = packed[-1]
        self._note_removed(name, path)
        self.damaged.add(path)
        data = bytearray(path.read_bytes())
        how = self.rng.choice(["cut", "bit", "zeros"])
        at = self.rng.randrange(len(data))
        if how == "bit":
            data[at] ^= 1 << self.rng.randrange(8)
        else:
            data[at:] = bytes(len(data) - at if how == "zeros" else 0)
        path.write_bytes(data)
        return f"{path.name} of {name} damaged: {how} at {at} of {len(data)}"

    def fault_drain(self):
        drain = self.rng.choice(self.drains)
        if drain.sick:
            return None
        fault = self.rng.choice(drain.FAULTS)
        drain.fall_ill(fault)
        self._later(self.rng.uniform(0.2, 3), lambda: self._recover(drain))
        self.counts[f"{drain.name} {fault}"] += 1
        return f"{drain.name} {fault}"

    def _recover(self, drain):
        self.events.add(self._now(), f"{drain.name} is well again after {drain.sick}", len(self.daemon.log()))
        drain.recover()

    def fault_state(self):
        error = self.rng.choice(["ENOSPC", "EIO", "EROFS"])
        self.files.fail("write", error, "/state/cursors")
        seconds = self.rng.uniform(0.5, 3)
        self.unwritable.append((time.monotonic(), time.monotonic() + seconds))
        self._later(seconds, self.files.clear)
        return f"state cannot be written: {error}"

    def fault_clock(self):
        step = self.rng.choice([-86400, -3600, -5, 5, 3600, 86400])
        self.clock.step(wall=step)
        return f"wall clock steps by {step} s"

    def fault_pause(self):
        """SIGSTOP, and pods created meanwhile; some of them are deleted too."""
        seconds = self.rng.choice([0.2, 1, 5])
        self.daemon.pause()
        for _ in range(self.rng.randrange(3)):
            self._pod()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._heal()
            time.sleep(0.02)
        self.daemon.resume()
        return f"SIGSTOP for {seconds} s"

    def fault_damage(self):
        """The state is damaged while no daemon runs, or removed while it is in use."""
        state = self.daemon.tmp / "state"
        how = self.rng.choice(["one slot zeroed", "both slots zeroed", "both slots cut", "a bit of both flipped", "removed"])
        if how == "removed":
            said = "state was removed or replaced while in use"
            before = len(self.daemon.log_lines(said))
            self.daemon.pause()  # or it exists again before all of it is removed
            shutil.rmtree(state)
            self.daemon.resume()
            wait_for(lambda: len(self.daemon.log_lines(said)) > before, 30 * SLOW, "the daemon to notice")
            return "state removed while in use"
        self._kill()
        slots = [state / "cursors.a", state / "cursors.b"]
        for path in slots[:1] if how == "one slot zeroed" else slots:
            data = bytearray(path.read_bytes())
            if "zeroed" in how:
                data[:] = bytes(len(data))
            elif "cut" in how:
                del data[self.rng.randrange(len(data)):]
            else:
                data[self.rng.randrange(len(data))] ^= 1 << self.rng.randrange(8)
            path.write_bytes(data)
        self._start_after_damage()
        return f"kill -9, state: {how}"

    def _start_after_damage(self):
        """What the node no longer has is known to nobody when the cursors are gone too."""
        for name, gone in self.removed.items():
            self.forgiven[name] |= gone
        self.damages += 1
        self._start_again()

    def fault_route(self):
        drain = self.rng.choice(self.drains)
        self._routes(self.drains, mistaken=drain)
        self._later(self.rng.uniform(0.2, 2), lambda: self._routes(self.drains))
        return f"route to {drain.name} refused for a mistake in its URL"

    def fault_url(self):
        drain = self.rng.choice(self.drains)
        drain.timeout = 30 + (drain.timeout - 29) % 10
        self._routes(self.drains)
        self.counts[f"{drain.name} URL"] += 1
        return f"route to {drain.name}: another URL, timeout={drain.timeout}s"

    def _routes(self, drains, mistaken=None):
        if mistaken:
            self.mistaken[mistaken] = time.monotonic() + 10

        def url(d):
            return d.url() + ("&insecure=perhaps" if d is mistaken else "")
        self.daemon.set_routes([("*", url(d)) for d in drains])

    WEIGHTS = {"kill": 6, "stop": 2, "rotate": 12, "pod": 8, "drain": 16, "state": 2, "clock": 2, "pause": 2, "route": 2, "url": 2,
               "gz": 3, "damage": 1}

    def _inject(self):
        kind = self.rng.choices(list(self.WEIGHTS), self.WEIGHTS.values())[0]
        at, size = self._now(), len(self.daemon.log())
        with self.lock:
            text = getattr(self, f"fault_{kind}")()
        if text:
            self.counts[kind] += 1
            self.events.add(at, text, size)
            self.say(f"{self._now():8.2f} s  {text}")

    # the run

    def _start(self):
        self.files, self.clock = Files(self.tmp), Clock(self.tmp)
        env = {**self.files.env, **self.clock.env, "READ_FROM": self.read_from,
               "LD_PRELOAD": f"{self.files.env['LD_PRELOAD']} {self.clock.env['LD_PRELOAD']}"}
        self.daemon = Daemon(self.node, routes=True, env=env, tmp=self.tmp, start=False)
        self._routes(self.drains)
        self.daemon.start()
        self._make_node()

    def _now(self):
        return time.monotonic() - self.began

    def _wait(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._heal()
            for arrivals in self.arrivals.values():
                arrivals.look(self._now())
            assert self.daemon.running(), f"the daemon has ended by itself ({self.daemon.process.returncode}):\n{self.daemon.tail()}"
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
                self.say(f"{self._now():8.2f} s  {n + 1} kills")

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

    def _declared(self, drain, name):
        """Does the daemon's log say that bytes of this stream were lost to this drain?"""
        pod = name.replace("s", "web-", 1) if not name.startswith("short") else name
        # offset=0: nothing of it was confirmed, and nobody saw its size
        said = (f"bytes were lost.* pod={pod} |since the last run.* pod={pod} "
                "(.*lost_bytes_at_least=[1-9]|.* offset=0 lost_bytes_at_least=0$)")
        return any(drain.mine(line) for line in self.daemon.log_lines(said))

    def _unexplained(self, drain, name, missing):
        """Those of the <missing> lines for which no loss was declared."""
        left = missing - self.forgiven[name] - drain.forgiven[name]
        if left and (self._declared(drain, name) or self._unsaved(name)):
            left -= self.removed[name]
        return left

    def _wait_explained(self, drain):
        """A file that was deleted before it was opened is searched under other names for a minute; then it is declared."""
        seen = Seen(drain.receiver())

        def explained():
            seen.look()
            return not any(self._unexplained(drain, name, set(range(n)) - seen.lines[name])
                           for name, n in self.oracle.written().items() if n > len(seen.lines[name]))
        with contextlib.suppress(Timeout):
            wait_for(explained, 90 * SLOW, "every line, or word of it")

    def _account(self):
        fine, rows = True, []
        for drain in self.drains:
            self._wait_explained(drain)
            report = self.oracle.check(drain.receiver().messages(), gone=self.removed)
            lost, unexplained = 0, {}
            for name, ranges in report.lost_ranges.items():
                missing = {seq for a, b in ranges for seq in range(a, b + 1)}
                lost += len(missing)
                left = self._unexplained(drain, name, missing)
                if left:
                    unexplained[name] = sorted(left)
            silent = sum(map(len, unexplained.values()))
            hits = self.deaths + sum(n for k, n in self.counts.items() if k.startswith(drain.name + " "))
            bound = hits * (self.rate * self.containers * drain.again + IN_FLIGHT // LINE // 4) if drain.again else 0
            bound += self.damages * report.written if drain.again else 0
            bad = [w for w, is_so in [
                ("lines lost and not declared", unexplained), ("more duplicates than promised", report.dup > bound),
                ("corrupt lines", report.corrupt), ("foreign messages", drain.name != "redis" and self._foreign(report)),
                ("out of order", drain.ordered and report.reorder)] if is_so]
            fine = fine and not bad
            rows.append(f"{drain.name:14} written {report.written:7} = delivered {report.distinct:7} + declared lost "
                        f"{lost - silent:5} + unexplained {silent:3}; twice {report.dup:6} (at most {bound})"
                        + (f", {report.shortened} times less again, for the rest was gone" if report.shortened else "")
                        + "".join(f"  NOT AS PROMISED: {b}" for b in bad))
            if bad:
                rows += explain(drain, report, self.arrivals[drain], self.events, self.daemon.log())
                rows += [str(report)] + [f"  unexplained of {n}: {len(u)}, {u[0]}-{u[-1]}" for n, u in unexplained.items()]
        self.say("\nfaults: " + ", ".join(f"{k} {n}" for k, n in sorted(self.counts.items())) + f"; deaths {self.deaths}")
        for row in rows:
            self.say(row)
        self.daemon.check_report()
        assert fine, "\n".join(rows) + "\n" + self.daemon.tail(30)
        self.daemon.stop()
        return rows

    @staticmethod
    def _foreign(report):
        """Gap records are the daemon's own messages."""
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
    """Which lines a receiver has now."""

    def __init__(self, receiver):
        self.cursor = receiver.cursor()
        self.lines = collections.defaultdict(set)

    def look(self):
        for message in self.cursor.fresh():
            found = parse(message)
            if found:
                self.lines[found[0]].add(found[1])


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--minutes", type=float, default=1)
    a.add_argument("--seed", type=int, default=int(time.time()))
    a.add_argument("--kills", type=int, help="so many times SIGKILL under rotation, and no other fault")
    a.add_argument("--read-from", choices=["end", "start"], default="end", help="the daemon's READ_FROM (default end)")
    a.add_argument("--rate", type=int, default=150, help="lines per second of each of three containers")
    a.add_argument("--sweep", type=int, metavar="STEP",
                   help="instead: let every STEP-th malloc, open, pread, … of a short script fail (S10)")
    args = a.parse_args()
    if args.sweep:
        Sweep(say=lambda text: print(text, flush=True)).run(step=args.sweep)
        return 0
    print(f"seed {args.seed}", flush=True)
    soak = Soak(args.seed, seconds=args.minutes * 60, kills=args.kills, rate=args.rate, read_from=args.read_from,
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

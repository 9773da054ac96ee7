"""Runs the daemon under test and asks it questions. The program is $LOGTRAIN_BIN, else build/$LOGTRAIN_BUILD/logtrain
(LOGTRAIN_BUILD: a preset, default release). Of the caller's environment it gets only PATH. Its stderr goes to a file that
log() reads; a sanitizer report in it, or an exit code other than 0 after SIGTERM, fails the test."""

import functools
import http.client
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from .wait import wait_for

ROOT = Path(__file__).resolve().parents[3]
BUILD = os.environ.get("LOGTRAIN_BUILD", "release")
BIN = Path(os.environ.get("LOGTRAIN_BIN") or ROOT / "build" / BUILD / "logtrain")
SANITIZED = "asan" in BUILD or "tsan" in BUILD
SLOW = 3 if SANITIZED else 1  # deadlines are this much longer with a sanitizer
SILENCE_S = 2 * SLOW  # timeout= of a drain whose receiver is silent first and healthy later: on a busy machine it still answers in time

_kept = []  # removed with this process
_READY = re.compile(r"^\S+ info ready\b", re.MULTILINE)
_SANITIZER = re.compile(r"ERROR: \w*Sanitizer|WARNING: ThreadSanitizer|runtime error: ")
_SAMPLE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"')
SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_leaks=1:exitcode=99:allocator_may_return_null=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
    "TSAN_OPTIONS": "exitcode=99:second_deadlock_stack=1",
}


class Metrics:
    """A parsed /metrics page."""

    def __init__(self, text):
        self.text = text
        self.samples = []
        self.types = {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ", 3)
                self.types[name] = kind
            elif line and not line.startswith("#"):
                m = _SAMPLE.match(line)
                assert m, f"not a metric: {line!r}"
                self.samples.append((m[1], dict(_LABEL.findall(m[2] or "")), float(m[3])))

    def get(self, name, **labels):
        """The sum of the samples <name> with those labels; None when there is none, but 0 for a drain's counter, which
        has no sample until it moves. A label value may be a compiled pattern."""
        found = [v for n, have, v in self.samples if n == name and all(_fits(have.get(k), w) for k, w in labels.items())]
        if not found and name.startswith("logtrain_drain_") and self.types.get(name) == "counter":
            return 0
        return sum(found) if found else None

    def names(self):
        return {n for n, _, _ in self.samples}


def _fits(value, wanted):
    if isinstance(wanted, re.Pattern):
        return value is not None and bool(wanted.search(value))
    return value == wanted


class _Local(http.client.HTTPConnection):
    """A connection to the socket in the directory <state>, however long its path is. OSError when there is none."""

    def __init__(self, state, timeout):
        super().__init__("localhost", timeout=timeout)
        if not state:
            raise FileNotFoundError("STATE_PATH is empty")
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(timeout)
        try:
            directory = os.open(state, os.O_PATH | os.O_DIRECTORY)
            try:
                self.sock.connect(f"/proc/self/fd/{directory}/api.sock")
            finally:
                os.close(directory)
        except OSError:
            self.sock.close()
            raise


@functools.cache
def _empty_state(_program):
    """The state of a daemon that ran and found no log: every log that exists now appeared since then and is read from its first
    byte. One for each program under test."""
    tmp = tempfile.TemporaryDirectory(prefix="logtrain-empty-")
    _kept.append(tmp)
    containers = Path(tmp.name) / "containers"
    containers.mkdir()
    one = Daemon(drains=[("*", "null://")], tmp=tmp.name,
                 env={"READ_FROM": "end", "KUBERNETES": "true", "KUBERNETES_LOG_PATH": str(containers)})
    one.stop()
    return one.tmp / "state"


class Daemon:
    """One run. <drains>: (hostname pattern, URL) pairs given with --drain; <routes>: the same as a routes file (True: an empty
    one). <env> and <args> are added. <descriptors>: limit of open files. <prefix>: a command that starts it. Started by the
    constructor unless start=False.

    Without READ_FROM in <env> its default holds (end), and the first start finds the state of a run that saw no log: so every log
    is read from its first byte. With READ_FROM it finds no state."""

    def __init__(self, node=None, drains=(), routes=None, env=None, args=(), tmp=None, start=True, wait=True, descriptors=None,
                 prefix=()):
        self._tmp = None if tmp else tempfile.TemporaryDirectory(prefix="logtrain-")
        self.tmp = Path(tmp or self._tmp.name)
        self.secrets = []
        self.drain_args = list(drains)
        self.routes_path = self.tmp / "routes" if routes is not None else None
        if routes is not None:
            self.set_routes([] if routes is True else routes)
        self.env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HTTP_PORT": "0",
                    "HTTP_PORT_FILE": str(self.tmp / "port"), "STATE_PATH": str(self.tmp / "state"),
                    "LOG_LEVEL": "info", **SANITIZER_ENV}
        if node:
            self.env |= {"KUBERNETES": "true", "KUBERNETES_LOG_PATH": str(node.containers), "LOG_ROOTS": str(node.root)}
        self.env |= {k: str(v) for k, v in (env or {}).items()}
        if "READ_FROM" not in self.env:
            self._begin_after_an_empty_run()
        self.args = list(args)
        self.prefix = [*prefix, *(["prlimit", f"--nofile={descriptors}"] if descriptors else [])]
        self.stderr_path = self.tmp / "stderr"
        self.process = None
        self.port = None
        self.returncode = None
        if start:
            self.start(wait)

    def _begin_after_an_empty_run(self):
        state = Path(self.env["STATE_PATH"] or "/")
        if state.parent.is_dir() and not state.exists():
            shutil.copytree(_empty_state(BIN), state, ignore=shutil.ignore_patterns("*.sock"))

    # start and stop

    def command(self):
        command = [*self.prefix, str(BIN)]
        for pattern, url in self.drain_args:
            command += ["--drain", f"{pattern}={url}"]
        if self.routes_path:
            command += ["--routes", str(self.routes_path)]
        return command + self.args

    def start(self, wait=True):
        assert BIN.exists(), f"{BIN} is not there: build it first, or set LOGTRAIN_BIN"
        (self.tmp / "port").unlink(missing_ok=True)
        with open(self.stderr_path, "ab") as err:
            self._from = err.tell()
            with open(self.tmp / "stdout", "ab") as out:  # a process group of its own: Ctrl-C must not reach it
                self.process = subprocess.Popen(self.command(), env=self.env, stdin=subprocess.DEVNULL, stdout=out,
                                                stderr=err, process_group=0)
        self.returncode = None
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout=10):
        wait_for(self._ready, timeout * SLOW, lambda: f"the ready line; stderr:\n{self.tail()}")
        self.port = int((self.tmp / "port").read_text())

    def _ready(self):
        assert self.process.poll() is None, f"ended with {self.process.returncode} before it was ready:\n{self.tail()}"
        return _READY.search(self.log(since_start=True)) and (self.tmp / "port").exists()

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def hup(self):
        self.signal(signal.SIGHUP)

    def pause(self):
        """Stops each of its threads (SIGSTOP)."""
        self.signal(signal.SIGSTOP)

        def stopped():
            try:
                return all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in self._proc("task").glob("*/stat"))
            except (FileNotFoundError, ProcessLookupError):
                return False  # a thread that has ended meanwhile
        wait_for(stopped, 10, "the daemon to stand still")

    def resume(self):
        self.signal(signal.SIGCONT)

    def wait_exit(self, timeout):
        try:
            self.returncode = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout} s:\n{self.tail()}") from None
        return self.returncode

    def stop(self, timeout=None):
        """SIGTERM. Asserts a clean end: exit code 0, no sanitizer report, no credential anywhere."""
        if self.process is None or self.returncode is not None:
            return
        if self.running():
            self.check_canaries()
            self.signal(signal.SIGTERM)
        grace = float(re.match(r"\d+", self.env.get("STOP_GRACE", "10"))[0])
        code = self.wait_exit(timeout or (grace + 5) * SLOW)
        self.check_report()
        assert code == 0, f"exit code {code}:\n{self.tail()}"
        self.check_canaries()

    def kill(self):
        """SIGKILL, and waits."""
        if self.process is not None and self.returncode is None:
            self.process.kill()
            self.returncode = self.process.wait(10)

    def close(self):
        """In any case: leaves no process and no temporary directory."""
        self.kill()
        if self._tmp:
            self._tmp.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        try:
            if kind is None:
                self.stop()
        finally:
            self.close()

    # routes

    def set_routes(self, routes):
        """Replaces the routes file atomically. <routes>: (pattern, URL…) or whole lines."""
        lines = [r if isinstance(r, str) else "  ".join(r) for r in routes]
        new = self.routes_path.with_name("routes.new")
        new.write_text("".join(line + "\n" for line in lines))
        new.replace(self.routes_path)

    # its log

    def log(self, since_start=False):
        if not self.stderr_path.exists():
            return ""
        with open(self.stderr_path, "rb") as f:
            if since_start:
                f.seek(self._from)
            return f.read().decode("utf-8", "replace")

    def log_lines(self, pattern):
        """Lines of its log that match."""
        return [line for line in self.log().splitlines() if re.search(pattern, line)]

    def tail(self, lines=60):
        return "\n".join(self.log().splitlines()[-lines:])

    def check_report(self):
        report = _SANITIZER.search(self.log())
        assert not report, f"a sanitizer reports:\n{self.log()[report.start():report.start() + 8000]}"

    # HTTP

    def get(self, path, timeout=30):
        """GET: (status, text)."""
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout * SLOW)
        try:
            conn.request("GET", path)
            answer = conn.getresponse()
            return answer.status, answer.read().decode()
        finally:
            conn.close()

    def ask(self, path, timeout=30):
        """GET over the Unix socket in STATE_PATH: (status, text)."""
        return self._ask(path, timeout) or (0, "there is no socket")

    def _ask(self, path, timeout=30):
        """None: there is no socket."""
        try:
            conn = _Local(self.env.get("STATE_PATH"), timeout * SLOW)
        except OSError:
            return None
        try:
            conn.request("GET", path)
            answer = conn.getresponse()
            return answer.status, answer.read().decode()
        finally:
            conn.close()

    def metrics(self):
        status, text = self._ask("/metrics") or self.get("/metrics")  # STATE_PATH is empty, or not usable now
        assert status == 200, text
        return Metrics(text)

    def metric(self, name, **labels):
        return self.metrics().get(name, **labels)

    def drains(self):
        # a directory that was not usable at first gets its socket soon after it is
        status, text = wait_for(lambda: self._ask("/drains"), 10 * SLOW, "the socket in STATE_PATH")
        assert status == 200, text
        return json.loads(text)

    def drain(self, port):
        """The row of /drains whose URL has that port; waits until it exists."""
        return wait_for(lambda: next((r for r in self.drains() if f":{port}#" in r["name"]), None), 10 * SLOW,
                        lambda: f"a drain with port {port}: {[r['name'] for r in self.drains()]}")

    def wait_error(self, port, pattern, timeout=20):
        """Waits until that drain's last error matches."""
        wait_for(lambda: re.search(pattern, self.drain(port)["last_error"] or ""), timeout * SLOW,
                 lambda: f"/{pattern}/ as the drain's error: {self.drain(port)}\n{self.tail(20)}")

    def wait_counter(self, port, name, least, timeout=20):
        """Waits until that counter of that drain is at least <least>."""
        wait_for(lambda: self.drain(port)["counters"][name] >= least, timeout * SLOW,
                 lambda: f"{name} >= {least}: {self.drain(port)}\n{self.tail(20)}")

    def wait_confirmed(self, port, timeout=20):
        """Waits until that drain has everything and the daemon knows it."""
        wait_for(lambda: self.drain(port)["lag_bytes"] == 0, timeout * SLOW,
                 lambda: f"all lines to be confirmed: {self.drain(port)}\n{self.tail(20)}")

    def wait_saved(self, *ports, records=0):
        """Waits until those drains (all, if none is given) have everything and the state on the disk says so. <records>: the
        state has at least this many cursors and was written."""
        def saved():
            m = self.metrics()
            lags = [m.get("logtrain_drain_lag_bytes", drain=re.compile(f":{port}#")) for port in ports]
            confirmed = all(lag == 0 for lag in lags) if ports else not m.get("logtrain_drain_lag_bytes")
            known = not records or (m.get("logtrain_state_writes_total") and m.get("logtrain_state_records") >= records)
            return known and confirmed and m.get("logtrain_state_pending") == 0
        wait_for(saved, 20 * SLOW, lambda: f"everything to be confirmed and written: {self.drains()}\n{self.tail(20)}")

    # resources

    def _proc(self, name):
        return Path(f"/proc/{self.process.pid}/{name}")

    def _status_kib(self, field):
        return int(re.search(rf"^{field}:\s+(\d+) kB", self._proc("status").read_text(), re.MULTILINE)[1])

    def rss(self):
        """Resident bytes now. With a sanitizer the figure means nothing; check SANITIZED first."""
        return self._status_kib("VmRSS") * 1024

    def rss_peak(self):
        return self._status_kib("VmHWM") * 1024

    def fds(self):
        """The targets of its descriptors."""
        found = []
        for entry in self._proc("fd").iterdir():
            try:
                found.append(os.readlink(entry))
            except FileNotFoundError:
                pass  # closed meanwhile
        return found

    def cpu(self):
        """CPU seconds of all its threads so far."""
        fields = self._proc("stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # credentials (X05)

    def secret(self):
        """A random password that must never be shown; put it into a URL of a routes file."""
        value = "cnry" + secrets.token_hex(12)
        self.secrets.append(value)
        return value

    def check_canaries(self):
        """Searches all output of the daemon for the passwords of secret()."""
        if not self.secrets:
            return
        shown = {"stderr": self.log(), "stdout": (self.tmp / "stdout").read_text(errors="replace")}
        if self.running() and self.port:
            shown |= {page: self.get(page)[1] for page in ("/metrics", "/drains", "/healthz", "/readyz")}
            shown |= {f"the socket's {page}": self.ask(page)[1] for page in ("/metrics", "/drains")}
            shown |= {f"the socket's {page}": self.ask(page)[1] for page in ("/v1/drains", "/v1/streams")}
            shown["cmdline"] = self._proc("cmdline").read_text()
        for where, text in shown.items():
            for value in self.secrets:
                assert value not in text, f"a credential shows in {where}: {_around(text, value)}"


def _around(text, value):
    at = text.index(value)
    return text[max(0, at - 120):at + 10] + "…"


def run(*args, env=None, timeout=90):
    """Runs the program to its end (--check, --help, a refused start): the CompletedProcess, as text."""
    with tempfile.TemporaryDirectory(prefix="logtrain-") as state:  # a state directory can have one daemon only
        env = {"PATH": "/usr/bin:/bin", "STATE_PATH": state, **SANITIZER_ENV, **(env or {})}
        done = subprocess.run([str(BIN), *args], env=env, text=True, capture_output=True, timeout=timeout * SLOW,
                              stdin=subprocess.DEVNULL, check=False)
    assert not _SANITIZER.search(done.stderr), done.stderr
    return done


def limits():
    """The table printed by --limits: {name: number}."""
    rows = (line.split() for line in run("--limits").stdout.splitlines())
    return {row[0]: int(row[1]) for row in rows}

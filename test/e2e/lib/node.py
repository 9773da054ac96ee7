"""kubesim: the log tree of a node, and what kubelet and the runtimes do to it.

  <root>/pods/<ns>_<pod>_<uid>/<container>/<restart>.log          the files
  <root>/containers/<pod>_<ns>_<container>-<64 hex>.log           symlinks to them: KUBERNETES_LOG_PATH
  <root>/docker/<id>/<id>-json.log                                only with two_hops (cri-dockerd)

A Container writes through its own open file, as a runtime does: after a rename it goes on writing to the renamed file until it
is told to reopen. Another thread may rotate while it writes. docs/formats.md#rotation describes the behaviour of the originals.
"""

import gzip
import os
import random
import re
import shutil
import threading
import time
from pathlib import Path

from .wait import Pacer

CONTAINERD_MAX = 16384  # content bytes per CRI line
CONMON_READ = 8192
DOCKER_CHUNK = 16384
_HEX = "0123456789abcdef"


# --- time stamps and lines -------------------------------------------------------------------------------------------

class Clock:
    """Formats nanoseconds as the runtimes do; the part that changes once a second is cached."""

    def __init__(self):
        self._last = (-1, b"")  # replaced as a whole: several writers share one clock

    def _split(self, ns):
        second, frac = divmod(ns, 1_000_000_000)
        last = self._last
        if second != last[0]:
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
            self._last = last = (second, text)
        return last[1], frac

    def go(self, ns, zone=b"Z"):
        """RFC3339Nano as Go writes it: trailing zeros of the fraction trimmed, and no fraction at all when it is zero."""
        text, frac = self._split(ns)
        if not frac:
            return text + zone
        return text + b"." + (b"%09d" % frac).rstrip(b"0") + zone

    def conmon(self, ns):
        text, frac = self._split(ns)
        return b"%s.%09d+00:00" % (text, frac)


_clock = Clock()


def cri_record(content, tag=b"F", stream="stdout", ns=None):
    """One line of a CRI log file."""
    return b"%s %s %s %s\n" % (_clock.go(time.time_ns() if ns is None else ns), stream.encode(), tag, content)


def encode_cri(messages, stream="stdout", most=CONTAINERD_MAX):
    """containerd: a message longer than <most> becomes P lines of exactly <most> and an F with the rest."""
    out = []
    name = stream.encode()
    for m in messages:
        at = 0
        while len(m) - at > most:
            out.append(b"%s %s P %s\n" % (_clock.go(time.time_ns()), name, m[at:at + most]))
            at += most
        out.append(b"%s %s F %s\n" % (_clock.go(time.time_ns()), name, m[at:] if at else m))
    return out


def encode_conmon(messages, stream="stdout"):
    """CRI-O: P at the end of every 8192-byte read that does not end with a newline; all lines of a read have the same time."""
    data = b"".join(m + b"\n" for m in messages)
    out = []
    for at in range(0, len(data), CONMON_READ):
        stamp = _clock.conmon(time.time_ns())
        parts = data[at:at + CONMON_READ].split(b"\n")
        tail = parts.pop()
        out += [b"%s %s F %s\n" % (stamp, stream.encode(), p) for p in parts]
        if tail:
            out.append(b"%s %s P %s\n" % (stamp, stream.encode(), tail))
    return out


_ESCAPE = re.compile('[\x00-\x1f"\\\\<>&\u2028\u2029]')
_SHORT = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"}


def _escape(data):
    text = data.decode("utf-8", "replace")
    return _ESCAPE.sub(lambda m: _SHORT.get(m[0]) or "\\u%04x" % ord(m[0]), text).encode()


def docker_record(log, stream="stdout", ns=None, newline=True):
    """One line of dockerd's json-file. A partial line has no newline at the end of "log"."""
    stamp = _clock.go(time.time_ns() if ns is None else ns)
    return b'{"log":"%s%s","stream":"%s","time":"%s"}\n' % (_escape(log), b"\\n" if newline else b"", stream.encode(), stamp)


def encode_docker(messages, stream="stdout"):
    """dockerd: chunks of 16 KiB, all with the time of the first."""
    out = []
    for m in messages:
        now, at = time.time_ns(), 0
        while len(m) - at > DOCKER_CHUNK:
            out.append(docker_record(m[at:at + DOCKER_CHUNK], stream, now, newline=False))
            at += DOCKER_CHUNK
        out.append(docker_record(m[at:], stream, now))
    return out


def encode_plain(messages, stream="stdout"):
    return [m + b"\n" for m in messages]


ENCODERS = {"cri": encode_cri, "conmon": encode_conmon, "docker": encode_docker, "plain": encode_plain}


# --- the tree --------------------------------------------------------------------------------------------------------

class Node:
    """One node. <scale> multiplies kubelet's delays (reopen), so that a day of rotations fits into a test."""

    def __init__(self, root, seed=0, scale=1.0):
        self.root = Path(root)
        self.containers = self.root / "containers"
        self.pods_dir = self.root / "pods"
        self.docker_dir = self.root / "docker"
        self.scale = scale
        self.random = random.Random(seed)
        self.pods = {}
        self.containers.mkdir(parents=True, exist_ok=True)
        self.pods_dir.mkdir(exist_ok=True)

    def hex(self, n):
        return "".join(self.random.choices(_HEX, k=n))

    def pod(self, name, namespace="default", uid=None):
        pod = Pod(self, name, namespace, uid)
        self.pods[(namespace, name)] = pod
        return pod

    def container(self, pod="web-7d4b9c6f5-x2x1z", namespace="default", name="main", **options):
        """A container in a pod of its own name (created if new)."""
        found = self.pods.get((namespace, pod)) or self.pod(pod, namespace)
        return found.container(name, **options)

    def plain(self, name):
        """A plain file directly in the log path: no symlink, no CRI."""
        return PlainFile(self.containers / name)

    def close(self):
        for pod in self.pods.values():
            for c in pod.all.values():
                c.close()


class Pod:
    def __init__(self, node, name, namespace, uid):
        self.node = node
        self.name = name
        self.namespace = namespace
        self.uid = uid or "-".join(node.hex(n) for n in (8, 4, 4, 4, 12))
        self.dir = node.pods_dir / f"{namespace}_{name}_{self.uid}"
        self.all = {}

    def container(self, name="main", **options):
        self.all[name] = Container(self, name, **options)
        return self.all[name]

    def delete(self):
        """kubelet removes a pod: the logs of each container, the directory, and then (GC) the dangling symlinks."""
        for c in self.all.values():
            c.close()
            for path in c.files():
                path.unlink(missing_ok=True)
        shutil.rmtree(self.dir, ignore_errors=True)
        for c in self.all.values():
            c.link.unlink(missing_ok=True)
        self.node.pods.pop((self.namespace, self.name), None)


class Container:
    """<format>: cri, conmon, docker, plain. <append>=False writes without O_APPEND (a hole after a truncate, F08)."""

    def __init__(self, pod, name, format="cri", id=None, two_hops=False, append=True, max_files=5, restart=0, link=True):
        self.pod = pod
        self.node = pod.node
        self.name = name
        self.encode = ENCODERS[format]
        self.id = id or pod.node.hex(64)
        self.two_hops = two_hops
        self.append = append
        self.max_files = max_files
        self.restarts = restart
        self.dir = pod.dir / name
        self.lock = threading.Lock()
        self._fd = -1
        self._stamp = 0
        self.link = None
        self.dir.mkdir(parents=True, exist_ok=True)
        self._create()
        if link:
            self._link()

    # paths

    @property
    def live(self):
        """The real path of the live file."""
        if self.two_hops:
            return self.node.docker_dir / self.id / f"{self.id}-json.log"
        return self.dir / f"{self.restarts}.log"

    def link_path(self):
        """Truncated as kubelet does it: 251 bytes before `.log`, even if this cuts the id."""
        name = f"{self.pod.name}_{self.pod.namespace}_{self.name}-{self.id}"
        return self.node.containers / (name[:251] + ".log")

    def files(self, pattern="*"):
        """The files of this container, oldest first; the live file, if it exists, is last."""
        return sorted((p for p in self.dir.glob(pattern) if p != self.live)) + [p for p in [self.live] if p.exists()]

    def rotated(self):
        return sorted(self.live.parent.glob(self.live.name + ".*"))

    def _open(self, extra=0):
        flags = os.O_WRONLY | os.O_CREAT | extra | (os.O_APPEND if self.append else 0)
        return os.open(self.live, flags, 0o640)

    def _create(self):
        self.live.parent.mkdir(parents=True, exist_ok=True)
        self._fd = self._open()
        if self.two_hops:
            (self.dir / f"{self.restarts}.log").symlink_to(self.live)

    def _link(self):
        target = self.dir / f"{self.restarts}.log"
        self.link = self.link_path()
        new = self.link.parent.parent / f".link-{self.id}"
        new.unlink(missing_ok=True)
        new.symlink_to(target)
        new.replace(self.link)

    # writing

    def _put(self, data):
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view):]

    def write_raw(self, data):
        with self.lock:
            self._put(data)

    def write(self, messages, stream="stdout"):
        """Messages (bytes, or a list of them) in this container's format, with as few write() calls as a runtime makes."""
        records = self.encode([messages] if isinstance(messages, bytes) else messages, stream)
        self.write_raw(b"".join(records))

    def write_chunks(self, messages, stream="stdout"):
        """As write(), with one write() per record, so that a rotation can fall between a P and its F."""
        for record in self.encode([messages] if isinstance(messages, bytes) else messages, stream):
            self.write_raw(record)

    def close(self):
        with self.lock:
            if self._fd >= 0:
                os.close(self._fd)
            self._fd = -1

    def reopen(self, late=0, stop=None):
        """The runtime's ReopenContainerLog: from now on the writer uses a new live file; writes in progress may go to the old one
        for <late> seconds."""
        new = self._open()
        if late:
            (stop or threading.Event()).wait(late * self.node.scale)
        with self.lock:
            os.close(self._fd)
            self._fd = new

    # changes of the files

    def _timestamp(self):
        """kubelet's suffix. Real rotations are 10 s apart; here the clock is advanced so that names never collide."""
        self._stamp = max(int(time.time()), self._stamp + 1)
        return time.strftime("%Y%m%d-%H%M%S", time.localtime(self._stamp))

    def clean_rotated(self):
        """What kubelet does before it rotates: removes leftovers, then the oldest files down to MaxFiles - 2, then compresses the
        rest."""
        for path in self.rotated():
            if path.suffix == ".tmp" or path.with_name(path.name + ".gz").exists():
                path.unlink(missing_ok=True)
        rotated = self.rotated()
        for path in rotated[:max(0, len(rotated) - (self.max_files - 2))]:
            path.unlink()
        for path in self.rotated():
            if path.suffix != ".gz":
                self.compress(path)

    def compress(self, path):
        tmp = path.with_name(path.name + ".tmp")
        with open(path, "rb") as src, gzip.open(tmp, "wb", compresslevel=1) as dst:
            shutil.copyfileobj(src, dst, 1 << 20)
        tmp.rename(path.with_name(path.name + ".gz"))
        path.unlink()

    def rotate(self, reopen_delay=0.05, fail_reopen=False, stop=None, clean=True, late=0):
        """One kubelet rotation. During <reopen_delay> writers continue in the renamed file, and for <late> more seconds while the
        new one exists. Returns the new path, or None when reopening failed and the rename was undone. <clean>=False: older
        files stay as they are."""
        if clean:
            self.clean_rotated()
        live = self.live
        away = live.with_name(f"{live.name}.{self._timestamp()}")
        live.rename(away)
        (stop or threading.Event()).wait(reopen_delay * self.node.scale)
        if fail_reopen:
            away.rename(live)
            return None
        self.reopen(late, stop)
        return away

    def rotate_docker(self, max_file=3, compress=False):
        """dockerd's own rotation: shift .i, live to .1, a new live file (max_file 1: unlink and create)."""
        live = self.live
        with self.lock:
            if max_file == 1:
                live.unlink()
            else:
                self._shift(live, max_file)
            new = self._open(os.O_TRUNC)
            os.close(self._fd)
            self._fd = new
        if compress and max_file > 1:
            first = live.with_name(live.name + ".1")
            self.compress(first)

    @staticmethod
    def _shift(live, max_file):
        for end in ("", ".gz"):
            live.with_name(f"{live.name}.{max_file - 1}{end}").unlink(missing_ok=True)
            for i in range(max_file - 1, 1, -1):
                older = live.with_name(f"{live.name}.{i - 1}{end}")
                if older.exists():
                    older.rename(live.with_name(f"{live.name}.{i}{end}"))
        live.rename(live.with_name(live.name + ".1"))

    def copytruncate(self, suffix=".1", between=None):
        """logrotate's copytruncate. <between> is called after the copy, before the truncate."""
        with self.lock:
            copy = self.live.with_name(self.live.name + suffix)
            shutil.copyfile(self.live, copy)
            if between:
                between()
            os.truncate(self.live, 0)
        return copy

    def restart(self, retarget=False, unlink_old=True):
        """The container restarts: N+1.log. It gets a new id and so a new symlink; <retarget> keeps the id, so that the same
        symlink gets a new target. The old file stays, as kubelet keeps the last dead container."""
        with self.lock:
            os.close(self._fd)
            old = self.link
            self.restarts += 1
            if not retarget:
                self.id = self.node.hex(64)
            self._create()
        self._link()
        if unlink_old and old != self.link:
            old.unlink(missing_ok=True)

    def reuse_inode(self, tries=2000):
        """Deletes the live file and creates new ones until one has its inode (F09). True if that worked."""
        wanted = self.live.stat().st_ino
        self.close()
        self.live.unlink()
        for _ in range(tries):
            self._fd = self._open()
            if self.live.stat().st_ino == wanted:
                return True
            self.close()
            self.live.unlink()
        self._fd = self._open()
        return False


class PlainFile:
    """A file directly in the log path."""

    def __init__(self, path):
        self.path = Path(path)
        self._file = open(self.path, "ab", buffering=0)

    def write(self, messages):
        self._file.write(b"".join(encode_plain([messages] if isinstance(messages, bytes) else messages)))

    def write_raw(self, data):
        self._file.write(data)


# --- background threads ----------------------------------------------------------------------------------------------

class Background:
    """A thread that is stopped at the end of a `with`, where its exception is raised."""

    def __init__(self):
        self.stop_event = threading.Event()
        self._error = None
        self._thread = threading.Thread(target=self._guard, daemon=True)
        self._thread.start()

    def _guard(self):
        try:
            self.run()
        except BaseException as e:
            self._error = e

    def stop(self):
        self.stop_event.set()
        return self.join()

    close = stop

    def join(self, timeout=300):
        self._thread.join(timeout)
        assert not self._thread.is_alive(), f"{type(self).__name__} does not end"
        if self._error:
            raise self._error
        return self

    def running(self):
        return self._thread.is_alive()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()


class Writer(Background):
    """Writes the lines of <source> into <container>: <rate> lines per second (0: as fast as possible), <count> in all."""

    def __init__(self, container, source, rate=1000, count=None, stream="stdout", chunks=False, burst=500):
        self.container = container
        self.source = source
        self.rate = rate
        self.count = count
        self.stream = stream
        self.put = container.write_chunks if chunks else container.write
        self.burst = burst
        super().__init__()

    def run(self):
        pacer = Pacer(self.rate, self.stop_event)
        left = self.count
        while left is None or left > 0:
            n = pacer.due(self.burst if left is None else min(self.burst, left))
            if not n:
                return
            self.put(self.source.take(n), self.stream)
            if left is not None:
                left -= n


class Rotator(Background):
    """Rotates <container> every <every> seconds, <count> times (None: until stopped); <how> goes to rotate()."""

    def __init__(self, container, every=0.2, count=None, reopen_delay=0.05, **how):
        self.container = container
        self.every = every
        self.count = count
        self.reopen_delay = reopen_delay
        self.how = how
        self.rotations = 0
        super().__init__()

    def run(self):
        while self.count is None or self.rotations < self.count:
            if self.stop_event.wait(self.every):
                return
            self.container.rotate(self.reopen_delay, stop=self.stop_event, **self.how)
            self.rotations += 1

"""Files rotated and compressed under every naming scheme of docker, logrotate and kubelet: they are found again and read in
order, and files that cannot be read are logged. Under READ_FROM=end: what the daemon knew before it was killed is read on."""

import bz2
import gzip
import lzma
import os
import shutil

import pytest
from lib.daemon import SLOW
from lib.wait import wait_for

END = {"READ_FROM": "end"}
FORMS = {
    "number": lambda i: ".1",
    "date": lambda i: f"-202611{10 + i}",
    "hour": lambda i: f"-20261129-{10 + i}",
    "epoch": lambda i: f"-{1796000000 + 3600 * i}",
    "kubelet": lambda i: f".20261129-1015{10 + i}",
}


class Logrotate:
    """A plain file in the log path, and what logrotate does with it."""

    def __init__(self, node, form="number", compress=False, delay=False, copytruncate=False, name="app.log"):
        self.live = node.containers / name
        self.form, self.compress, self.delay, self.copytruncate = form, compress, delay, copytruncate
        self.rotations = 0
        self.fd = os.open(self.live, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)

    def write_raw(self, data):
        assert os.write(self.fd, data) == len(data)

    def write(self, messages):
        self.write_raw(b"".join(m + b"\n" for m in messages))

    def pack(self, path):
        packed = path.with_name(path.name + ".gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        shutil.copystat(path, packed)
        path.unlink()
        return packed

    def shift(self):
        for i in range(50, 0, -1):
            for end in ("", ".gz"):
                old = self.live.with_name(f"{self.live.name}.{i}{end}")
                if old.exists():
                    old.rename(self.live.with_name(f"{self.live.name}.{i + 1}{end}"))

    def rotate(self):
        self.rotations += 1
        if self.delay:
            for path in self.live.parent.glob(self.live.name + "[-.]*"):
                if path.suffix != ".gz":
                    self.pack(path)
        if self.form == "number":
            self.shift()
        away = self.live.with_name(self.live.name + FORMS[self.form](self.rotations))
        assert not away.exists()
        if self.copytruncate:
            shutil.copyfile(self.live, away)
            os.truncate(self.live, 0)
        else:
            self.live.rename(away)
            os.close(self.fd)
            self.fd = os.open(self.live, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        return self.pack(away) if self.compress and not self.delay else away


def begin(oracle, daemon, node, peer, log, name="a", **options):
    """A daemon that knows the beginning of <log>."""
    d = daemon(node, drains=[("*", peer.url("batch=ndjson"))], env=END, **options)
    log.write(oracle.source(name).take(100))
    oracle.wait_complete(peer, 60 * SLOW)
    d.wait_saved(records=1)
    return d


def in_order_and_whole(d, oracle, peer):
    report = oracle.wait_complete(peer, 60 * SLOW)
    report.assert_exact()
    assert report.reorder == 0
    assert d.metric("logtrain_drain_lost_bytes_total") == 0 and d.metric("logtrain_resume_gaps_total") == 0


@pytest.mark.parametrize("how", ["create", "copytruncate"])
@pytest.mark.parametrize("compress", ["plain", "compress", "delaycompress"])
@pytest.mark.parametrize("form", FORMS)
def test_L07_logrotate_while_down(node, oracle, daemon, http, form, compress, how):
    peer = http()
    log = Logrotate(node, form, compress != "plain", compress == "delaycompress", how == "copytruncate")
    log.write(oracle.source("before").take(50))
    log.rotate()
    oracle.sources.pop("before")  # it existed before the daemon started
    d = begin(oracle, daemon, node, peer, log)
    for rotations in (1, 3):
        d.kill()
        for _ in range(rotations):
            log.write(oracle.sources["a"].take(100))
            log.rotate()
        log.write(oracle.sources["a"].take(100))
        d.start()
        in_order_and_whole(d, oracle, peer)
        d.wait_saved(records=1)


@pytest.mark.parametrize("down", [True, False], ids=["down", "stopped"])
@pytest.mark.parametrize("compress", [True, False], ids=["gz", "plain"])
@pytest.mark.parametrize("forms", [("number", "date", "date"), ("date", "number", "number"), ("number", "date", "number")], ids="-".join)
def test_L07_the_form_of_the_names_changes(node, oracle, daemon, http, forms, compress, down):
    """`dateext` is put into logrotate's configuration, or taken out: what the names say holds among those of one form."""
    peer = http()
    log = Logrotate(node, "number", compress)
    d = begin(oracle, daemon, node, peer, log)
    written = log.live.stat().st_mtime - 100000
    for _ in range(2):
        d.kill() if down else d.pause()
        for log.form in forms:
            log.write(oracle.sources["a"].take(100))
            written += 3600
            os.utime(log.live, (written, written))
            log.rotate()
        log.write(oracle.sources["a"].take(100))
        d.start() if down else d.resume()
        in_order_and_whole(d, oracle, peer)
        d.wait_saved(records=1)


@pytest.mark.parametrize("rotations", [1, 4])
def test_L07_docker_compresses_while_down(node, oracle, daemon, http, rotations):
    peer = http()
    c = node.container(format="docker", two_hops=True)
    d = begin(oracle, daemon, node, peer, c)
    d.kill()
    for _ in range(rotations):
        c.write(oracle.sources["a"].take(100))
        c.rotate_docker(10, compress=True)
    c.write(oracle.sources["a"].take(100))
    d.start()
    in_order_and_whole(d, oracle, peer)


@pytest.mark.parametrize("rotations", [1, 3])
@pytest.mark.parametrize("kind", ["docker", "kubelet", *FORMS])
def test_L07_compressed_between_two_looks(node, oracle, daemon, http, kind, rotations):
    """The daemon is stopped meanwhile. Lines that it has not seen are only in compressed files."""
    peer = http()
    if kind == "docker":
        log = node.container(format="docker", two_hops=True)
        rotate = lambda: log.rotate_docker(10, compress=True)  # noqa: E731
    elif kind == "kubelet":
        log = node.container(max_files=20)
        rotate = lambda: log.compress(log.rotate(reopen_delay=0, clean=False))  # noqa: E731
    else:
        log = Logrotate(node, kind, compress=True)
        rotate = log.rotate
    d = begin(oracle, daemon, node, peer, log)
    for _ in range(2):
        d.pause()
        for _ in range(rotations):
            log.write(oracle.sources["a"].take(100))
            rotate()
        log.write(oracle.sources["a"].take(100))
        d.resume()
        in_order_and_whole(d, oracle, peer)


@pytest.mark.parametrize("docker", [True, False], ids=["docker", "kubelet"])
def test_L07_more_files_than_descriptors(node, oracle, daemon, http, docker):
    """A file that was closed to free descriptors is renamed and compressed, again and again, while its drain takes nothing."""
    peer = http()
    options = {"format": "docker", "two_hops": True} if docker else {"max_files": 20}
    pods = [node.container(f"pod{i}", **options) for i in range(80)]
    d = daemon(node, drains=[("*", peer.url("batch=ndjson"))], env=END, descriptors=64)
    for c in pods:
        c.write(oracle.source(c.pod.name).take(5))
    oracle.wait_complete(peer, 120 * SLOW)
    peer.refuse("reset")
    for _ in range(3):
        for c in pods:
            c.write(oracle.sources[c.pod.name].take(5))
            if docker:
                c.rotate_docker(10, compress=True)
            else:
                c.compress(c.rotate(reopen_delay=0, clean=False))
    for c in pods:
        c.write(oracle.sources[c.pod.name].take(5))
    peer.resume()
    oracle.wait_complete(peer, 120 * SLOW).assert_exact(dup_max=len(pods) * 20)
    assert d.metric("logtrain_drain_lost_bytes_total") == 0
    assert len(d.fds()) <= 64


PACK = {".xz": lzma.compress, ".bz2": bz2.compress, ".zst": lambda data: b"\x28\xb5\x2f\xfd" + data[:len(data) // 10]}


@pytest.mark.parametrize("end", PACK)
@pytest.mark.parametrize("down", [True, False], ids=["down", "running"])
def test_L07_unreadable_files_are_logged(node, oracle, daemon, http, end, down):
    peer = http()
    log = Logrotate(node)
    d = begin(oracle, daemon, node, peer, log)
    d.kill() if down else d.pause()
    if down:
        log.write(oracle.source("lost").take(200))
    away = log.rotate()
    if not down:
        log.write(oracle.source("lost").take(200))
        away = log.rotate()  # never seen under its name
    away.with_name(away.name + end).write_bytes(PACK[end](away.read_bytes()))
    size = away.stat().st_size
    away.unlink()
    log.write(oracle.sources["a"].take(100))
    d.start() if down else d.resume()
    oracle.wait_complete(peer, 60 * SLOW, ["a"])
    wait_for(lambda: any(b"compressed in a way that logtrain does not read" in m for m in peer.messages()), 60 * SLOW, "a gap record")
    assert d.log_lines(rf"log file is gone file=\S*app.log.1\{end} .*compressed in a way")
    lost = d.metric("logtrain_drain_lost_bytes_total", reason="compressed")
    assert 0 < lost <= size
    if down:
        oracle.check([m for m in peer.messages() if b"lost" not in m], ["a"]).assert_exact()


@pytest.mark.parametrize("known_bytes", ["banner", "more"])
def test_L07_files_that_begin_alike(node, oracle, daemon, http, known_bytes):
    """All files begin with the same 1,200 bytes. Where nothing else distinguishes them, both candidates are read: nothing is
    lost, and the log says that lines may arrive twice."""
    banner = b"this program starts, as it always does\n" * 30
    peer = http()
    log = Logrotate(node, compress=True)
    log.write_raw(banner)
    d = daemon(node, drains=[("*", peer.url("batch=ndjson"))], env=END)
    log.write(oracle.source("old").take(100))
    log.rotate()
    log.write_raw(banner)
    if known_bytes == "more":
        log.write(oracle.source("a").take(10))
    wait_for(lambda: peer.count() >= 130 + (10 if known_bytes == "more" else 0), 60 * SLOW, "the lines")
    d.wait_saved(records=1)
    d.kill()
    source = oracle.sources.get("a") or oracle.source("a")
    log.write(source.take(100))
    log.rotate()
    log.write_raw(banner)
    log.write(source.take(100))
    d.start()
    report = oracle.wait_complete(peer, 60 * SLOW)
    assert report.lost == 0 and not report.corrupt
    alike = d.log_lines("warn two log files begin alike")
    if known_bytes == "more":
        report.assert_exact(foreign=None)
        assert not alike
    else:
        assert report.dup <= 100 and len(alike) == 1
    assert d.metric("logtrain_drain_lost_bytes_total") == 0

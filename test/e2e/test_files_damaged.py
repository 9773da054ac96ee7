"""Compressed rotated files that are damaged. Data that cannot be trusted is lost and declared; everything else arrives, and no
line that nobody wrote. Under READ_FROM=end: what the daemon knew before it was killed is read on."""

import gzip

import pytest
from lib.daemon import SLOW
from lib.preload import Files
from lib.sinks import sinks  # noqa: F401
from lib.wait import stays, wait_for

END = {"READ_FROM": "end"}


def flip(data, at):
    return data[:at] + bytes([data[at] ^ 0x20]) + data[at + 1:]


DAMAGE = {
    "crc": lambda data: flip(data, len(data) - 7),
    "length": lambda data: flip(data, len(data) - 2),
    "data early": lambda data: flip(data, len(data) // 20),
    "data": lambda data: flip(data, len(data) // 2),
    "data late": lambda data: flip(data, len(data) - 30),
    "cut": lambda data: data[:len(data) // 2],
    "cut early": lambda data: data[:15],
    "empty": lambda data: b"",
    "nuls at the end": lambda data: data[:len(data) // 2] + bytes(len(data) - len(data) // 2),
    "nuls in the middle": lambda data: data[:len(data) // 3] + bytes(4096) + data[len(data) // 3 + 4096:],
    "nuls": lambda data: bytes(len(data)),
    "header": lambda data: b"not gzip" + data[8:],
}


def killed_and_rotated(node, oracle, daemon, sinks, lines=1000, format="cri", **options):
    """A log whose beginning the daemon knows; the rest is in a .gz, a rotated file and the live file."""
    c = node.container("web-0", format=format, max_files=20)
    d = daemon(node, drains=sinks.drains(), **options)
    c.write(oracle.source("a").take(100))
    sinks.complete()
    d.wait_saved(records=2)
    d.kill()
    c.write(oracle.sources["a"].take(lines))
    packed = c.rotate(reopen_delay=0)
    c.write(oracle.source("b").take(100))
    c.rotate(reopen_delay=0)
    c.write(oracle.source("c").take(100))
    return c, d, packed.with_name(packed.name + ".gz")


@pytest.mark.parametrize("damage", DAMAGE)
def test_L06_damaged_while_down(node, oracle, daemon, sinks, damage):
    c, d, packed = killed_and_rotated(node, oracle, daemon, sinks, env=END)
    packed.write_bytes(DAMAGE[damage](packed.read_bytes()))
    d.start()
    c.write(oracle.source("live").take(100))
    sinks.complete(streams=["b", "c", "live"])
    sinks.quiet()
    for report in sinks.reports():
        assert not report.corrupt and not report.invented and report.reorder == 0, report
        assert report.lost == report.lost_ranges["a"][-1][1] - report.lost_ranges["a"][0][0] + 1, f"one hole\n{report}"
        assert report.lost_ranges["a"][-1][1] == 1099 and 0 < report.lost <= 1000, report
        if damage in ("cut", "nuls at the end"):
            assert report.lost < 700, f"what comes before is good\n{report}"
        assert len(report.foreign) == 1 and b"were lost: " in report.foreign[0], report
    assert d.metric("logtrain_drain_lost_bytes_total") > 0
    assert d.log_lines("compressed log file is damaged") or damage == "nuls"
    wait_for(lambda: d.metric("logtrain_drain_lag_bytes") == 0, 20 * SLOW, "the lag to end")
    d.wait_saved(records=2)
    before = sinks.web.count()
    d.stop()
    d.start()
    c.write(oracle.sources["live"].take(10))
    sinks.complete(streams=["b", "c", "live"])
    assert sinks.web.count() - before == 10, "said once, and passed once"


@pytest.mark.parametrize("kind", ["two members", "empty members", "nuls behind", "garbage behind"])
def test_L06_whole_in_another_way(node, oracle, daemon, sinks, kind):
    c, d, packed = killed_and_rotated(node, oracle, daemon, sinks, env=END)
    data, text = packed.read_bytes(), gzip.decompress(packed.read_bytes())
    packed.write_bytes({
        "two members": gzip.compress(text[:12345]) + gzip.compress(text[12345:]),
        "empty members": gzip.compress(b"") + data + gzip.compress(b"") * 3,
        "nuls behind": data + bytes(10000),
        "garbage behind": data + b"what is that",
    }[kind])
    d.start()
    sinks.exact(dup_max=100)  # syslog confirms later
    sinks.quiet()
    sinks.exact(dup_max=100)
    assert d.metric("logtrain_drain_lost_bytes_total") == 0


def test_L06_second_member_is_damaged(node, oracle, daemon, sinks):
    """The first member is intact: its lines arrive, except for the line that continues in the second."""
    c, d, packed = killed_and_rotated(node, oracle, daemon, sinks, env=END)
    text = gzip.decompress(packed.read_bytes())
    at = len(text) * 3 // 4
    second = gzip.compress(text[at:])
    packed.write_bytes(gzip.compress(text[:at]) + flip(second, len(second) // 2))
    d.start()
    sinks.complete(streams=["b", "c"])
    for report in sinks.reports():
        assert not report.corrupt and 200 < report.lost < 350 and len(report.foreign) == 1, report


@pytest.mark.parametrize("damage", ["crc", "data", "data late", "cut"])
def test_L06_a_large_one_in_the_middle(node, oracle, daemon, sinks, damage):
    """Checking it takes more than one turn, and reading reaches it from the file before."""
    c, d, _ = killed_and_rotated(node, oracle, daemon, sinks, env=END, lines=10)
    c.write(oracle.source("large").take(30000))
    packed = c.rotate(reopen_delay=0)
    c.write(oracle.source("last").take(100))
    c.rotate(reopen_delay=0)
    packed = packed.with_name(packed.name + ".gz")
    packed.write_bytes(DAMAGE[damage](packed.read_bytes()))
    d.start()
    sinks.complete(streams=["a", "b", "last"])  # the lines of c begin in the damaged file
    for report in sinks.reports():
        assert not report.corrupt and not report.invented and report.reorder == 0, report
        assert report.lost_ranges["large"][-1][1] == 29999 and len(report.lost_ranges["large"]) == 1, f"one hole\n{report}"
        assert len(report.foreign) == 1 and b"were lost: " in report.foreign[0], report


@pytest.mark.parametrize("damage", ["data", "crc", "cut", "nuls in the middle"])
def test_L06_damaged_while_it_is_read(node, oracle, daemon, http, damage):
    """It was intact when it was checked, and half of it is sent."""
    away = []  # after this many lines
    peer = http(answers=lambda request: 503 if away and peer.count() > away[0] else None)
    c = node.container("web-0", max_files=20)
    d = daemon(node, drains=[("*", peer.url("batch=ndjson&linger=10ms&connections=1"))], env=END)
    c.write(oracle.source("a").take(100))
    oracle.wait_complete(peer, 60)
    d.wait_saved(records=1)
    d.kill()
    c.write(oracle.sources["a"].take(60000))
    packed = c.rotate(reopen_delay=0)
    c.write(oracle.source("b").take(100))
    c.rotate(reopen_delay=0)
    packed = packed.with_name(packed.name + ".gz")
    data = packed.read_bytes()
    away.append(100)
    d.start()
    wait_for(lambda: d.drains()[0]["state"] == "waiting", 60, "the receiver to be away")
    had = peer.count()
    packed.write_bytes(DAMAGE[damage](data))
    away.clear()
    oracle.wait_complete(peer, 60, ["b"])
    report = oracle.check(peer.messages())
    assert had < 60000, "all of it was sent before it was damaged"
    assert not report.corrupt and not report.invented and report.reorder == 0, report
    assert report.lost and d.metric("logtrain_drain_lost_bytes_total") > 0, report
    wait_for(lambda: d.metric("logtrain_drain_lag_bytes") == 0, 60, "the lag to end")


def test_L06_still_being_compressed(node, oracle, daemon, sinks):
    """It is complete but not yet renamed, as with logrotate and dockerd: reading waits for it."""
    c, d, packed = killed_and_rotated(node, oracle, daemon, sinks, env=END)
    data = packed.read_bytes()
    packed.write_bytes(data[:1000])
    d.start()
    for at in range(1000, len(data), (len(data) - 1000) // 5):
        stays(lambda: sinks.web.count() == 100, 0.5, "it was given up")
        with open(packed, "ab") as f:
            f.write(data[at:at + (len(data) - 1000) // 5])
    sinks.exact(dup_max=100)
    assert d.metric("logtrain_drain_lost_bytes_total") == 0


@pytest.mark.parametrize("packed", [True, False], ids=["gz", "live"])
def test_L06_lag_of_what_cannot_be_read(node, oracle, daemon, sinks, tmp_path, packed):
    """EIO for as long as it lasts: the bytes count as lag, and the lag's time does not restart with each attempt."""
    files = Files(tmp_path)
    c, d, gz = killed_and_rotated(node, oracle, daemon, sinks, env={**END, **files.env})
    files.fail("read", "EIO", gz.name if packed else c.dir)
    d.start()

    def lags():
        rows = d.drains()
        return len(rows) == 2 and all(r["lag_seconds"] > 3 and r["lag_bytes"] > 10000 for r in rows)
    wait_for(lags, 20 * SLOW, lambda: f"the lag to show: {d.drains()}")
    stays(lags, 4, "lag fell back")
    files.clear()
    sinks.exact(dup_max=100)
    assert d.metric("logtrain_drain_lost_bytes_total") == 0
    assert d.log_lines("log file unreadable")

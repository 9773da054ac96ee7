"""Tests of the harness: the oracle notices every kind of fault, the simulated node does what kubelet does, and the daemon's
runner notices a broken stand-in. Receivers: see test_harness_peers.py."""

import gzip
import json
import os
import re
import runpy
import time
from pathlib import Path

import pytest
from lib import daemon as daemon_module
from lib import node as sim
from lib.oracle import Oracle, make, parse
from lib.ports import DENIED, free_port
from lib.wait import Timeout, stays, wait_for

ROOT = Path(__file__).resolve().parents[2]
STANDIN = Path(__file__).resolve().parent / "harness" / "forwarder.py"


# --- wait ------------------------------------------------------------------------------------------------------------

def test_wait_for_returns_the_value_and_names_what_did_not_come(monkeypatch):
    monkeypatch.setattr("lib.wait.PATIENCE_S", 0)
    assert wait_for(lambda: 7, 1, "seven") == 7
    with pytest.raises(Timeout, match="still waiting for godot"):
        wait_for(lambda: False, 0.05, lambda: "godot")


def test_free_ports_are_usable_for_owners_drains():
    """Ports that the egress policy denies at every address are not handed out."""
    rows = re.findall(r'^ *\{(\d+), (\d+), "[^"]*port"\},', (ROOT / "src/net/egress.c").read_text(), re.MULTILINE)
    denied = {port for first, last in rows for port in range(int(first), int(last) + 1)}
    assert 6443 in denied and {port for port in denied if port >= 10000} == DENIED
    assert not {free_port() for _ in range(600)} & DENIED


def test_stays_fails_as_soon_as_it_changes():
    stays(lambda: True, 0.03, "true")
    end = time.monotonic() + 0.03
    with pytest.raises(AssertionError, match="quiet"):
        stays(lambda: time.monotonic() < end, 5, "quiet")


# --- oracle ----------------------------------------------------------------------------------------------------------

def judge(seqs, written=10, name="a"):
    oracle = Oracle()
    oracle.source(name, 80).take(written)
    return oracle.check([make(name, s, 80) for s in seqs])


def test_oracle_takes_what_is_exact():
    judge(range(10)).assert_exact()


@pytest.mark.parametrize("size", [0, 40, 80, 200, 5000, 1 << 20])
def test_messages_have_about_the_size_asked_for_and_parse(size):
    for seq in (0, 9, 123456):
        message = make("s", seq, size)
        assert abs(len(message) - max(size, 28)) < 12
        assert parse(message) == ("s", seq, True)
        assert parse(b"<14>1 2026-01-01T00:00:00Z h t - - - " + message) == ("s", seq, True)
        assert b"\n" not in message


@pytest.mark.parametrize("seqs,lost,dup,reorder", [
    ([0, 1, 2, 3, 5, 6, 7, 8, 9], 1, 0, 0),                       # a gap
    ([0, 1, 2, 3, 4, 5, 6], 3, 0, 0),                             # the end is missing
    ([3, 4, 5, 6, 7, 8, 9], 3, 0, 0),                             # the beginning is
    ([0, 1, 2, 3, 4, 2, 3, 4, 5, 6, 7, 8, 9], 0, 3, 0),           # a rewind
    ([0, 1, 2, 3, 1, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9], 0, 5, 0),     # one in another
    ([0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9], 0, 1, 0),                 # one line again
    ([0, 2, 1, 3, 4, 5, 6, 7, 8, 9], 0, 0, 2),                    # two swapped
    ([0, 1, 2, 3, 4, 1, 5, 6, 7, 8, 9], 0, 1, 1),                 # an old line, repeated alone
    ([0, 1, 2, 3, 4, 1, 3, 4, 5, 6, 7, 8, 9], 0, 3, 1),           # a rewind with a hole
    ([0, 1, 3, 4, 0, 1, 3, 4, 5, 6, 7, 8, 9], 1, 4, 0),           # a rewind over a line that was lost
])
def test_oracle_counts(seqs, lost, dup, reorder):
    report = judge(seqs)
    assert (report.lost, report.dup, report.reorder) == (lost, dup, reorder), str(report)
    assert report.distinct + report.lost == report.written
    if lost or reorder:
        with pytest.raises(AssertionError):
            report.assert_exact(dup_max=100)
    if dup:
        with pytest.raises(AssertionError, match="duplicates" if not lost and not reorder else ""):
            report.assert_exact(dup_max=dup - 1, lost=lost)


@pytest.mark.parametrize("seqs,gone,reorder", [
    ([0, 1, 2, 3, 4, 1, 2, 5, 6, 7, 8, 9], {3, 4}, 0),        # lines that the rewind would have repeated are gone
    ([0, 1, 2, 3, 4, 1, 2, 5, 6, 7, 8, 9], {3}, 1),           # not all of them
    ([0, 1, 2, 3, 4, 1, 2, 5, 6, 7, 8, 9], {4}, 1),
    ([0, 1, 2, 3, 4, 1, 2, 7, 8, 9], {3, 4}, 0),              # and the next line too
    ([0, 1, 2, 3, 4, 1, 4, 5, 6, 7, 8, 9], {2, 3}, 0),        # in the middle of the rewind
    ([0, 1, 3, 4, 1, 5, 6, 7, 8, 9], {3, 4}, 0),              # behind a line that never came
    ([0, 1, 3, 4, 1, 2, 5, 6, 7, 8, 9], {3, 4}, 1),           # ... and one that comes after a later line
])
def test_oracle_takes_a_rewind_over_what_is_gone(seqs, gone, reorder):
    oracle = Oracle()
    oracle.source("a", 80).take(10)
    report = oracle.check([make("a", s, 80) for s in seqs], gone={"a": gone})
    assert report.reorder == reorder, str(report)
    assert len(report.breaks()) == reorder and ("out of order: a, message" in str(report)) == bool(reorder)


def test_oracle_declared_losses_must_be_exact():
    report = judge([0, 1, 2, 3, 8, 9])
    report.assert_exact(lost=4)
    report.assert_exact(lost=1, pending=3)
    for wrong in (0, 3, 5):
        with pytest.raises(AssertionError):
            report.assert_exact(lost=wrong)


def test_oracle_corrupt_cut_and_foreign():
    oracle = Oracle()
    lines = oracle.source("a").take(3)
    report = oracle.check([lines[0].replace(b" ", b"_", 5), lines[1][:-1], lines[2][:-1] + b"#", b"12 bytes were lost"])
    assert len(report.corrupt) == 2 and len(report.foreign) == 2 and report.lost == 3
    with pytest.raises(AssertionError, match="corrupt"):
        report.assert_exact(lost=3, foreign=2)


def test_oracle_lines_nobody_wrote_and_streams_of_others():
    report = judge([0, 1, 2, 3], written=3)
    with pytest.raises(AssertionError, match="nobody wrote"):
        report.assert_exact()
    oracle = Oracle()
    a, b = oracle.source("a").take(2), oracle.source("b").take(2)
    oracle.check(a + b).assert_exact()
    oracle.check(a, streams=["a"]).assert_exact()
    with pytest.raises(AssertionError, match="nobody wrote"):
        oracle.check(a + b, streams=["a"]).assert_exact()


def test_oracle_is_quick():
    oracle = Oracle()
    messages = oracle.source("a", 100).take(100_000)
    start = time.process_time()
    oracle.check(messages).assert_exact()
    assert time.process_time() - start < 3


# --- the simulated node ----------------------------------------------------------------------------------------------

def cri_messages(data):
    """Reads a CRI log back: partials joined per stream."""
    out, pending = [], {}
    for line in data.splitlines():
        _, stream, tag, content = line.split(b" ", 3)
        pending[stream] = pending.get(stream, b"") + content
        if tag == b"F":
            out.append(pending.pop(stream))
    return out


def test_node_layout_and_link(node):
    c = node.container("web-1", "shop", "main")
    c.write(b"hello")
    assert c.link.name == f"web-1_shop_main-{c.id}.log" and len(c.id) == 64
    assert os.readlink(c.link) == str(node.pods_dir / f"shop_web-1_{c.pod.uid}" / "main" / "0.log")
    assert c.link.read_bytes().endswith(b" stdout F hello\n")


def test_node_long_names_truncate_the_link(node):
    c = node.container("p" * 160, "n" * 40, "main")
    assert len(c.link.name) == 255 and c.link.name.endswith(".log") and c.id not in c.link.name
    assert c.link.exists()


@pytest.mark.parametrize("ns,text", [(0, b"1970-01-01T00:00:00Z"), (10**9, b"1970-01-01T00:00:01Z"),
                                     (1_500_000_000, b"1970-01-01T00:00:01.5Z"), (7, b"1970-01-01T00:00:00.000000007Z"),
                                     (120_000_000, b"1970-01-01T00:00:00.12Z")])
def test_go_time(ns, text):
    assert sim.Clock().go(ns) == text


@pytest.mark.parametrize("size,chunks", [(0, 1), (1, 1), (16383, 1), (16384, 1), (16385, 2), (32768, 2), (32769, 3)])
def test_containerd_chunks(size, chunks):
    message = b"x" * size
    records = sim.encode_cri([message])
    assert len(records) == chunks and cri_messages(b"".join(records)) == [message]
    assert [r.split(b" ")[2] for r in records] == [b"P"] * (chunks - 1) + [b"F"]


def test_conmon_chunks():
    messages = [b"a" * 5000, b"b" * 5000, b"", b"c"]
    records = sim.encode_conmon(messages)
    assert cri_messages(b"".join(records)) == messages
    assert all(r[:35].endswith(b"+00:00") and len(r.split(b" ")[0]) == 35 for r in records)
    assert [r.split(b" ")[2] for r in records] == [b"F", b"P", b"F", b"F", b"F"]


def test_docker_records():
    text = b'a "b" \\ <c> & \x01 \xe2\x80\xa8 \xff tab\t'
    line = sim.docker_record(text, "stderr", 1_500_000_000)
    assert b"\\u003c" in line and b"\\u0001" in line and b"\\u2028" in line and b"\\u0009" in line
    assert json.loads(line) == {"log": text.decode("utf-8", "replace") + "\n", "stream": "stderr",
                                "time": "1970-01-01T00:00:01.5Z"}
    parts = [json.loads(r) for r in sim.encode_docker([b"y" * 40000])]
    assert [len(p["log"]) for p in parts] == [16384, 16384, 7233] and len({p["time"] for p in parts}) == 1


def test_kubelet_rotation_steady_state(node):
    c = node.container(max_files=5)
    for i in range(8):
        c.write(b"line %d" % i)
        assert c.rotate(reopen_delay=0)
    c.write(b"line 8")
    names = [p.name.replace("0.log", "") for p in c.files()]
    assert [n[-3:] == ".gz" for n in names] == [True, True, True, False, False], names  # as docs/formats.md#rotation says
    assert names[-1] == "" and sorted(names[:-1]) == names[:-1]
    kept = [gzip.decompress(p.read_bytes()) if p.suffix == ".gz" else p.read_bytes() for p in c.files()]
    assert cri_messages(b"".join(kept)) == [b"line %d" % i for i in range(4, 9)]


def test_rotation_while_writing_loses_nothing_and_writes_late(node, oracle):
    c = node.container(max_files=100)
    late = 0
    with sim.Writer(c, oracle.source("a"), rate=0, count=20000, burst=50) as writer:
        while writer.running():
            before = c.live.stat().st_ino
            away = c.rotate(reopen_delay=0.01)
            assert away.stat().st_ino == before
            late += 1
    assert late > 1
    data = b"".join(gzip.decompress(p.read_bytes()) if p.suffix == ".gz" else p.read_bytes() for p in c.files())
    oracle.check(cri_messages(data)).assert_exact()


def test_writer_goes_on_in_the_renamed_file_until_reopen(node):
    c = node.container()
    c.write(b"one")
    away = c.live.with_name("0.log.20260101-000000")
    c.live.rename(away)
    c.write(b"two")
    assert cri_messages(away.read_bytes()) == [b"one", b"two"] and not c.link.exists()
    c.reopen()
    c.write(b"three")
    assert cri_messages(c.link.read_bytes()) == [b"three"]


def test_failed_reopen_renames_back(node):
    c = node.container()
    c.write(b"one")
    inode = c.live.stat().st_ino
    assert c.rotate(reopen_delay=0, fail_reopen=True) is None
    c.write(b"two")
    assert c.live.stat().st_ino == inode and c.rotated() == []
    assert cri_messages(c.live.read_bytes()) == [b"one", b"two"]


def test_copytruncate(node):
    c = node.container()
    c.write(b"one")
    copy = c.copytruncate()
    c.write(b"two")
    assert cri_messages(copy.read_bytes()) == [b"one"] and cri_messages(c.live.read_bytes()) == [b"two"]
    holed = node.container("holed-0", append=False)
    holed.write(b"one")
    holed.copytruncate()
    holed.write(b"two")
    assert holed.live.read_bytes().startswith(b"\0")


def test_restart_retargets_or_relinks(node):
    c = node.container()
    first = c.link
    c.restart(retarget=True)
    assert c.link == first and os.readlink(first).endswith("/1.log") and (c.dir / "0.log").exists()
    c.restart()
    assert c.link != first and not os.path.lexists(first) and os.readlink(c.link).endswith("/2.log")


def test_pod_deletion_and_docker(node):
    c = node.container("d-0", format="docker", two_hops=True)
    c.write(b"x")
    assert os.path.islink(os.readlink(c.link)) and c.link.read_bytes().startswith(b'{"log":"x\\n"')
    c.rotate_docker(max_file=3)
    c.write(b"y")
    c.rotate_docker(max_file=3, compress=True)
    assert sorted(p.name[len(c.live.name):] for p in c.rotated()) == [".1.gz", ".2"]
    c.pod.delete()
    assert not os.path.lexists(c.link) and not c.pod.dir.exists()


# --- the daemon's runner, with the stand-in --------------------------------------------------------------------------

@pytest.fixture
def standin(monkeypatch, daemon):
    monkeypatch.setattr(daemon_module, "BIN", STANDIN)
    return daemon


def forward(standin, node, oracle, syslog_tcp, http, bug=None):
    """Forwards across a rotation and a restart; returns the daemon and both receivers."""
    tcp, web = syslog_tcp(), http()
    c = node.container(max_files=100)
    source = oracle.source("a")
    d = standin(node, drains=[("*", tcp.url())], routes=[("*", web.url(path="/x"))], env={"STANDIN_BUG": bug} if bug else {})
    c.write(source.take(100))
    c.rotate()
    c.write(source.take(100))
    wait_for(lambda: tcp.count() >= 190, 10, "lines")
    c.restart()
    c.write(source.take(100))
    return d, tcp, web


def test_standin_forwards_and_everything_is_read(standin, node, oracle, syslog_tcp, http):
    d, tcp, web = forward(standin, node, oracle, syslog_tcp, http)
    for p in (tcp, web):
        oracle.wait_complete(p, 10).assert_exact()
    wait_for(lambda: d.metrics().get("logtrain_sent_lines_total", drain='a \\"b\\"') == 600, 10, "the count of lines")
    assert d.metric("no_such") is None and d.drains() == [] and d.get("/healthz")[0] == 200
    assert d.rss() > 1 << 20 and d.cpu() >= 0 and len(d.fds()) > 3 and d.running()
    d.stop()
    assert d.returncode == 0 and d.log_lines(" info ready ")


@pytest.mark.parametrize("bug", ["lose", "dup", "reorder", "corrupt"])
def test_standin_bugs_are_noticed(standin, node, oracle, syslog_tcp, http, bug):
    _, tcp, _ = forward(standin, node, oracle, syslog_tcp, http, bug)
    wait_for(lambda: tcp.count() >= 299, 10, "the lines")
    with pytest.raises(AssertionError):
        oracle.check(tcp.messages()).assert_exact()


def test_crash_and_leak_are_noticed(standin, node, syslog_tcp):
    d = standin(node, drains=[("*", syslog_tcp().url())], env={"STANDIN_BUG": "crash"})
    with pytest.raises(AssertionError, match="exit code 3"):
        d.stop()
    tcp = syslog_tcp()
    d = standin(node, routes=True, env={"STANDIN_BUG": "leak"}, wait=False)
    d.kill()
    d.set_routes([("*", tcp.url("password=" + d.secret()))])
    d.start()
    with pytest.raises(AssertionError, match="a credential shows in stderr"):
        d.check_canaries()
    d.kill()


def test_a_sanitizer_report_is_noticed(standin, node, syslog_tcp):
    d = standin(node, drains=[("*", syslog_tcp().url())])
    with open(d.stderr_path, "a") as f:
        f.write("==1==ERROR: AddressSanitizer: heap-use-after-free\n")
    with pytest.raises(AssertionError, match="heap-use-after-free"):
        d.stop()


# --- scripts/test NAME -----------------------------------------------------------------------------------------------

def test_one_test_is_found_by_its_name():
    """Every unit file, in folders of any depth, and cases of them."""
    one = runpy.run_path(str(daemon_module.ROOT / "scripts/test_one"))
    units, folder = one["units"], one["UNIT"]
    for path in folder.rglob("*_test.c"):
        assert units(str(path.relative_to(folder).with_suffix(""))) == [(path, None)]
    (path, case), = units("drains/members/ws_verdict_test:refused_upgrades")
    assert (path.name, case) == ("ws_verdict_test.c", "refused_upgrades")
    assert units("no_such_test") == []

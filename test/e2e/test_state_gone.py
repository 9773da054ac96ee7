"""Pods that are deleted while no daemon runs (L5): unread lines of theirs are declared at the next start, whichever files they
were in, to the drains that had not confirmed them."""

import re
import shutil

import pytest
from lib.daemon import SLOW
from lib.sinks import sinks  # noqa: F401
from lib.wait import wait_for

END = {"READ_FROM": "end"}
WAIT = 60 * SLOW
LINES = [b"nobody sees this"] * 10


def remove(c):
    """Removes the whole pod, including docker's directory."""
    live = c.live
    c.pod.delete()
    if c.two_hops:
        shutil.rmtree(live.parent, ignore_errors=True)


def rotate(c, lines=()):
    """docker renames to .1, .2, …; kubelet gives them the time."""
    if c.two_hops:
        live = c.live
        for n in range(9, 0, -1):
            old = live.with_name(f"{live.name}.{n}")
            if old.exists():
                old.rename(live.with_name(f"{live.name}.{n + 1}"))
        live.rename(live.with_name(live.name + ".1"))
        c.reopen()
    else:
        c.rotate(clean=False)
    if lines:
        c.write(lines)


def lost(d):
    """Numbers of bytes in the log, one for each drain."""
    return [int(n) for line in d.log_lines("gone since the last run.* pod=job-0 ") for n in re.findall(r"at_least=([1-9]\d*)", line)]


def told(peer, text=b"bytes were lost"):
    wait_for(lambda: any(text in m for m in peer.messages()), WAIT, "the gap record")


def grown(d, c):
    """No rotation."""
    before = c.live.stat().st_size
    c.write(LINES)
    return c.live.stat().st_size - before


def rotated(d, c):
    rotate(c, LINES)
    return c.live.stat().st_size


def rotated_twice(d, c):
    """The file behind the confirmed one is empty."""
    rotate(c)
    rotate(c, LINES)
    return c.live.stat().st_size


def rotated_often(d, c):
    """Several files have unread lines."""
    total = 0
    for _ in range(3):
        rotate(c, LINES)
        total += c.live.stat().st_size
    return total


def compressed(d, c):
    """The same, and the older ones are compressed meanwhile."""
    total = 0
    for _ in range(3):
        rotate(c, LINES)
        total += c.live.stat().st_size
        wait_for(lambda t=total: d.metric("logtrain_drain_lag_bytes") >= t, WAIT, lambda: f"unread bytes\n{d.tail()}")
    for path in c.rotated():
        c.compress(path)
    return total


def while_down(d, c):
    """Rotated while the daemon was down; the next run could not send anything, either."""
    d.stop()
    rotate(c, LINES)
    d.start()
    return c.live.stat().st_size


def line_in_two_files(d, c):
    """The first part of a line is in the rotated file."""
    first, rest = c.encode([b"x" * 20000])
    c.write_raw(first)
    rotate(c)
    c.write_raw(rest)
    return len(first) + len(rest)


CASES = [grown, rotated, rotated_twice, rotated_often, compressed, while_down, line_in_two_files]


@pytest.mark.parametrize("how", ["kill", "stop"])
@pytest.mark.parametrize("layout", ["cri", "docker"])
@pytest.mark.parametrize("case", CASES)
def test_L05_a_pod_with_unread_lines_is_gone(node, oracle, daemon, sinks, case, layout, how):
    """Both drains had everything, then refused."""
    d = daemon(node, drains=sinks.drains(), env=END)
    c = node.container("job-0", format=layout, two_hops=layout == "docker")
    c.write(oracle.source("job").take(20))
    sinks.complete(timeout=90)
    d.wait_saved(records=2)
    sinks.refuse()
    unread = case(d, c)
    wait_for(lambda: d.metric("logtrain_drain_lag_bytes") >= unread, WAIT, lambda: f"{unread} unread bytes\n{d.tail()}")
    wait_for(lambda: d.metric("logtrain_state_pending") == 0, WAIT, "the state to be written")
    getattr(d, how)()
    remove(c)
    sinks.resume()
    d.start()
    wait_for(lambda: len(lost(d)) == 2, WAIT, lambda: f"word of it for both drains\n{d.tail()}")
    if how == "stop" and case not in (compressed, line_in_two_files):
        assert lost(d) == [unread, unread]
    for peer in sinks.peers:
        told(peer)


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_L05_a_pod_with_unread_lines_of_one_drain_is_gone(node, oracle, daemon, sinks, how):
    """The drain that had everything has nothing to report."""
    d = daemon(node, drains=sinks.drains(), env=END)
    c = node.container("job-0")
    source = oracle.source("job")
    c.write(source.take(20))
    sinks.complete(timeout=90)
    d.wait_saved(records=2)
    sinks.web.refuse("reset")
    c.rotate()
    c.write(source.take(10))
    oracle.wait_complete(sinks.tcp, WAIT)
    d.wait_saved(sinks.tcp.port)
    getattr(d, how)()
    remove(c)
    sinks.web.resume()
    d.start()
    told(sinks.web)
    assert len(d.log_lines("gone since the last run")) == 1 and len(lost(d)) == 1
    assert not any(b"lost" in m for m in sinks.tcp.messages())


@pytest.mark.parametrize("up", [True, False])
@pytest.mark.parametrize("how", ["kill", "stop"])
def test_L05_a_pod_that_waited_for_its_routes_is_gone(node, api, kube, http, how, up):
    """The API is away, so nothing was attached to it in any run; <up>: the API is back at the next start."""
    web = http()
    api.stop()
    d = kube(drains=[("*", web.url("batch=ndjson&linger=10ms"))], env={**END, "IDENTITY_WAIT": "10m"})
    c = node.container("born-0", "shop")
    c.write(LINES)
    wait_for(lambda: d.metric("logtrain_pending_streams") == 1, WAIT, "the stream")
    d.wait_saved()
    getattr(d, how)()
    remove(c)
    if up:
        api.start()
    d.start()
    said = "waited for its routes is gone .*pod=born-0 "
    wait_for(lambda: len(d.log_lines(said)) == 1, WAIT, lambda: f"word of it\n{d.tail()}")
    told(web, b"an unknown number of bytes")
    restart_is_quiet(d, said)


def restart_is_quiet(d, said):
    """It was reported, and is not reported again."""
    wait_for(lambda: d.metric("logtrain_state_records") == 0 and d.metric("logtrain_state_pending") == 0, WAIT,
             lambda: f"its records to be dropped\n{d.tail()}")
    d.stop()
    d.start()
    wait_for(lambda: d.metric("logtrain_state_writes_total") is not None, WAIT, "the start")
    assert len(d.log_lines(said)) == 1 and len(d.log_lines("bytes were lost")) == 1

"""docs/faults.md#files: nothing is left over of containers that are gone, in whichever order kubelet and the runtimes remove
their files. Counted in /proc and /metrics."""

import os
import re
import shutil

import pytest
from lib.daemon import SANITIZED, SLOW
from lib.wait import wait_for

END = {"READ_FROM": "end"}
PODS = 200 if SANITIZED else 1000


def watches(d):
    """The number of directories that the kernel watches for the daemon."""
    found = 0
    for info in d._proc("fdinfo").iterdir():
        try:
            found += info.read_text().count("inotify wd:")
        except FileNotFoundError:
            pass  # closed meanwhile
    return found


def open_logs(d, node):
    """The node's files that the daemon has open, and the disk blocks of those that have no name any more."""
    logs, blocks = 0, 0
    for fd in d._proc("fd").iterdir():
        try:
            if str(node.root) in os.readlink(fd):
                logs += 1
                found = os.stat(fd)
                blocks += 0 if found.st_nlink else found.st_blocks
        except FileNotFoundError:
            pass  # closed meanwhile
    return logs, blocks


def records(d):
    return d.metric("logtrain_state_records")


def remove(node, c, order):
    """Removes a pod in the order in which kubelet does it, or in other orders that were seen."""
    c.close()
    steps = {
        "file": lambda: [path.unlink() for path in c.files()] + ([c.live.unlink()] if c.live.exists() else []),
        "link": c.link.unlink,
        "dir": lambda: [shutil.rmtree(path, ignore_errors=True) for path in (c.pod.dir, c.live.parent)],
        "rename": lambda: c.pod.dir.rename(c.pod.dir.with_name(f"gone-{c.pod.name}")),
        "rename-dir": lambda: c.dir.rename(c.dir.with_name("gone")),
    }
    for step in order.split():
        steps[step]()
    if c.two_hops:
        shutil.rmtree(c.live.parent, ignore_errors=True)
    node.pods.pop((c.pod.namespace, c.pod.name), None)


ORDERS = ["file link dir", "link file dir", "file dir link", "dir link", "link dir", "link rename", "rename-dir link", "link rename-dir"]


def nothing_is_left(d, node, before):
    """Descriptors and blocks are freed at once; everything else when it is certain that the pod will not come back."""
    wait_for(lambda: open_logs(d, node) == before[0], 150 * SLOW, lambda: f"the logs to be closed: {open_logs(d, node)}")
    wait_for(lambda: watches(d) == before[1], 150 * SLOW, lambda: f"the watches to go: {watches(d)}, {before[1]} before")
    wait_for(lambda: d.metric("logtrain_streams") == before[2], 150 * SLOW,
             lambda: f"the streams to end: {d.metric('logtrain_streams')}, {before[2]} before")
    wait_for(lambda: records(d) == before[3], 150 * SLOW, lambda: f"the records to go: {records(d)}, {before[3]} before")


def held_now(d, node):
    return open_logs(d, node), watches(d), d.metric("logtrain_streams"), records(d)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("two_hops", [False, True], ids=["cri", "docker"])
def test_L19_nothing_is_left_of_a_deleted_pod(node, oracle, daemon, http, two_hops):
    """In each order, with a drain that takes everything, with none, and with a dead one, for which files are pinned within the
    budget."""
    live, dead = http(), http()
    d = daemon(node, drains=[("live*", live.url("batch=ndjson")), ("dead*", dead.url("batch=ndjson"))],
               env=END | {"HELD_BYTES_MAX": "64k"})
    dead.refuse("reset")
    kept = node.container("live-kept")
    kept.write(oracle.source("live-kept").take(10))
    oracle.wait_complete(live, 30 * SLOW)
    wait_for(lambda: records(d) == 1, 10 * SLOW, "the state to be written")
    before = held_now(d, node)
    pods = [(node.container(f"{kind}-{i}", two_hops=two_hops, format="docker" if two_hops else "cri"), order)
            for kind in ("live", "none", "dead") for i, order in enumerate(ORDERS * 3)]
    for c, _ in pods:
        c.write(oracle.source(c.pod.name).take(20))
    streams = [name for name in oracle.sources if name.startswith("live")]
    oracle.wait_complete(live, 30 * SLOW, streams)
    wait_for(lambda: records(d) == 1 + 2 * len(pods) // 3, 30 * SLOW, "every pod to be known")
    for c, order in pods:
        remove(node, c, order)
    wait_for(lambda: 0 < d.metric("logtrain_held_bytes") <= 64 * 1024, 30 * SLOW, "what the dead drain has not got to be held")
    wait_for(lambda: d.metric("logtrain_lost_bytes_total", reason="evicted") > 0, 30 * SLOW, "and the rest to be given up")
    dead.resume()
    nothing_is_left(d, node, before)
    oracle.check(live.messages(), streams).assert_exact()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_L19_nothing_is_left_of_thousands(node, oracle, daemon, http):
    live = http()
    d = daemon(node, drains=[("*", live.url("batch=ndjson"))], env=END)
    kept = node.container("kept")
    kept.write(oracle.source("kept").take(10))
    oracle.wait_complete(live, 30 * SLOW)
    wait_for(lambda: records(d) == 1, 10 * SLOW, "the state to be written")
    before = held_now(d, node)
    for batch in range(0, PODS, 100):
        pods = [node.container(f"web-{batch + i}") for i in range(100)]
        for c in pods:
            c.write(oracle.source(c.pod.name).take(3))
        oracle.wait_complete(live, 60 * SLOW)
        for i, c in enumerate(pods):
            remove(node, c, ORDERS[i % 5])
    nothing_is_left(d, node, before)
    oracle.check(live.messages()).assert_exact()
    assert d.metric("logtrain_lost_bytes_total") == 0

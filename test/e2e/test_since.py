"""since= in a drain's URL: a new drain starts with lines that the node still has."""

import os
import time

import pytest
from lib.daemon import SLOW, run
from lib.node import cri_record
from lib.wait import wait_for

HOUR = 3600


def web_url(peer, more=""):
    return peer.url("batch=ndjson&linger=10ms" + more)


def write_at(c, messages, age):
    """Writes lines that are <age> seconds old."""
    now = time.time_ns() - int(age * 1e9)
    c.write_raw(b"".join(cri_record(m, ns=now + i) for i, m in enumerate(messages)))


def age_file(path, age):
    then = time.time() - age
    os.utime(path, (then, then))


@pytest.fixture
def history(node, oracle):
    """Three hours in a compressed file, one in a rotated one, minutes in the live one. The sources a, b, c."""
    c = node.container("web-0", max_files=10)
    for name, age in (("a", 3 * HOUR), ("b", HOUR), ("c", 300)):
        write_at(c, oracle.source(name).take(100), age)
        if name != "c":
            c.rotate(reopen_delay=0)  # this compresses what the rotation before it left
    packed, rotated = c.files()[:2]
    assert packed.suffix == ".gz" and rotated.suffix != ".gz"
    age_file(rotated, HOUR)
    age_file(packed, 3 * HOUR)
    return c


def test_since_start_at_the_first_start(node, history, oracle, daemon, http):
    web, plain = http(), http()
    daemon(node, drains=[("*", web_url(web, "&since=start")), ("*", web_url(plain))], env={"READ_FROM": "end"})
    history.write(oracle.source("new").take(10))
    oracle.wait_complete(web, 20 * SLOW).assert_exact()
    oracle.wait_complete(plain, 20 * SLOW, streams=["new"]).assert_exact()


@pytest.mark.parametrize("since,streams", [("15m", "c"), ("2h", "bc"), ("1d", "abc"), ("30s", "")])
def test_since_by_the_time_of_records(node, history, oracle, daemon, http, since, streams):
    web = http()
    daemon(node, drains=[("*", web_url(web, f"&since={since}"))], env={"READ_FROM": "end"})
    history.write(oracle.source("new").take(10))
    oracle.wait_complete(web, 20 * SLOW, streams=[*streams, "new"]).assert_exact()


def test_since_in_the_middle_of_a_large_file(node, oracle, daemon, http):
    """It is searched, not read from its start; and the boundary is exact."""
    web = http()
    c = node.container("web-0")
    write_at(c, oracle.source("old", size=1000).take(5000), 2 * HOUR)
    write_at(c, oracle.source("young", size=1000).take(3000), HOUR - 60)
    d = daemon(node, drains=[("*", web_url(web, "&since=1h"))], env={"READ_FROM": "end"})
    oracle.wait_complete(web, 30 * SLOW, streams=["young"]).assert_exact()
    assert d.metric("logtrain_read_bytes_total") < 3_600_000


def test_since_of_a_drain_added_later(node, history, oracle, daemon, http):
    """Segments that every other drain has read are found again."""
    first, second, third = http(), http(), http()
    d = daemon(node, routes=[("*", web_url(first))], env={"READ_FROM": "start"})
    oracle.wait_complete(first, 20 * SLOW).assert_exact()
    d.wait_confirmed(first.port)
    d.set_routes([("*", web_url(first)), ("*", web_url(second, "&since=start")), ("*", web_url(third, "&since=15m"))])
    d.hup()
    oracle.wait_complete(second, 20 * SLOW).assert_exact()
    oracle.wait_complete(third, 20 * SLOW, streams=["c"]).assert_exact()
    history.write(oracle.source("new").take(10))
    for peer, streams in ((first, None), (second, None), (third, ["c", "new"])):
        oracle.wait_complete(peer, 20 * SLOW, streams=streams).assert_exact()


def test_since_counts_once(node, history, oracle, daemon, http):
    """A saved position has precedence, when the route comes back and after a restart."""
    web = http()
    routes = [("*", web_url(web, "&since=start"))]
    d = daemon(node, routes=routes, env={"READ_FROM": "end"})
    oracle.wait_complete(web, 20 * SLOW).assert_exact()
    d.wait_confirmed(web.port)
    d.set_routes([("elsewhere", web_url(web, "&timeout=soon"))])  # while a line is invalid, a line that is gone does not end its route
    d.hup()
    wait_for(lambda: d.metric("logtrain_parked_cursors") == 1, 20 * SLOW, "the route to be gone")
    d.set_routes(routes)
    d.hup()
    wait_for(lambda: d.metric("logtrain_parked_cursors") == 0, 20 * SLOW, "the route to be back")
    d.stop()
    d.start()
    history.write(oracle.source("new").take(10))
    oracle.wait_complete(web, 20 * SLOW).assert_exact()


def test_since_is_checked():
    assert "the lines of 900 s ago" in run("--check", "http://a/?since=15m").stdout
    assert "all that the node still has" in run("--check", "ws://a/?since=start").stdout
    for bad in ("yesterday", "0", "500ms", "366d", "1w", ""):
        done = run("--check", f"http://a/?since={bad}")
        assert done.returncode == 2 and "option 'since' must be start, or a duration from 1s to 365d" in done.stderr, bad

"""Some files of a log with unread lines are deleted or cut off while no daemon runs, and others stay (L05): what was in them is
declared, and all else is delivered."""

import gzip
import re

import pytest
from lib.daemon import SLOW
from lib.wait import wait_for
from test_state_gone import rotate, told

WAIT = 60 * SLOW
EACH = 10  # lines of each file


def rotated(c):
    """From the oldest on; docker's numbers go the other way."""
    found = [p for p in c.live.parent.iterdir() if p != c.live]
    return sorted(found, key=lambda p: p.name, reverse=c.two_hops)


def remove(c, *which):
    """The rotated files with these numbers, the oldest is 0; -1 is the live one."""
    files = [*rotated(c), c.live]
    sizes = [files[n].stat().st_size for n in which]
    for n in which:
        files[n].unlink()
    return sum(sizes)


def damage(path):
    """Compressed, with its data destroyed."""
    packed = bytearray(gzip.compress(path.read_bytes()))
    packed[20:40] = bytes(20)
    path.with_name(path.name + ".gz").write_bytes(packed)
    path.unlink()


def cut(path, to):
    size = path.stat().st_size
    with path.open("r+b") as f:
        f.truncate(to)
    return size - to


def one(c):
    return remove(c, 2), {2}


def two_of_five(c):
    return remove(c, 1, 3), {1, 3}


def oldest(c):
    """The file of the confirmed place, and the one after it."""
    return remove(c, 0, 1), {0, 1}


def newest(c):
    """The live one, too, and the container goes on in a new one."""
    lost = remove(c, 3, -1)
    c.reopen()
    return lost, {3, 4}


def truncated(c):
    return cut(rotated(c)[2], 0), {2}


def shorter(c):
    path = rotated(c)[2]
    lines = path.read_bytes().splitlines(keepends=True)
    return cut(path, sum(map(len, lines[:EACH // 2]))), {2}


def overwritten(c):
    path = rotated(c)[2]
    size = path.stat().st_size
    path.write_bytes(b"")
    return size, {2}


def others_compressed(c):
    lost = remove(c, 2)
    for path in rotated(c)[1:]:
        c.compress(path)
    return lost, {2}


def damaged(c):
    path = rotated(c)[2]
    size = path.stat().st_size
    damage(path)
    return size, {2}


def written_since(c):
    """More than was lost, and rotated."""
    lost = remove(c, 2)
    c.write([b"later %d" % n for n in range(5 * EACH)])
    rotate(c)
    return lost, {2}


def compressed_and_written(c):
    """Files of that name with another content are there, too."""
    lost, gone = written_since(c)
    for path in rotated(c)[-2:]:
        c.compress(path)
    return lost, gone


def lines_of(n):
    return [b"file %d line %d." % (n, i) for i in range(EACH)]


def lost(d):
    """Numbers of bytes in the log."""
    found = d.log_lines("gone since the last run.* pod=job-0 |damaged, its unread|reason=damaged")
    return [int(n) for line in found for n in re.findall(r"at_least=([1-9]\d*)", line)]


def missing(peer, lines):
    text = b"\n".join(peer.messages())
    return [line for line in lines if line not in text]


CASES = [one, two_of_five, oldest, newest, truncated, shorter, others_compressed, damaged, written_since, compressed_and_written]


@pytest.mark.parametrize("case, layout, how", [(case, "cri", "stop") for case in CASES] +
                         [(case, "docker", "kill") for case in (two_of_five, newest, shorter, damaged, compressed_and_written)])
def test_L05_some_files_of_a_log_are_gone(node, oracle, daemon, http, case, layout, how):
    """The drain had everything, then refused. Four files are rotated, the fifth is the live one."""
    web = http()
    d = daemon(node, drains=[("*", web.url("batch=ndjson&linger=10ms"))], env={"READ_FROM": "end"})
    c = node.container("job-0", format=layout, two_hops=layout == "docker")
    c.write(oracle.source("job").take(20))
    oracle.wait_complete(web, WAIT)
    d.wait_saved(records=1)
    web.refuse("reset")
    confirmed = c.live.stat().st_size
    c.write(lines_of(0))
    for n in range(1, 5):
        rotate(c, lines_of(n))
        unread = sum(p.stat().st_size for p in [*rotated(c), c.live]) - confirmed
        wait_for(lambda u=unread: d.metric("logtrain_drain_lag_bytes") == u, WAIT, lambda: f"unread bytes\n{d.tail()}")
    wait_for(lambda: d.metric("logtrain_state_pending") == 0, WAIT, "the state to be written")
    getattr(d, how)()
    bytes_gone, gone = case(c)
    web.resume()
    d.start()
    expected = [line for n in range(5) if n not in gone for line in lines_of(n)]
    if case is shorter:
        expected += lines_of(2)[:EACH // 2]
    wait_for(lambda: not missing(web, expected), WAIT, lambda: f"{missing(web, expected)}\n{d.tail()}")
    told(web)
    wait_for(lambda: lost(d), WAIT, lambda: f"word of it\n{d.tail()}")
    if case is not damaged:
        assert sum(lost(d)) == bytes_gone - confirmed * (case is oldest)


def test_L05_a_file_is_gone_when_the_route_comes_back(node, oracle, daemon, http):
    """A run in between has no route for it, and keeps what the state says of its files."""
    web = http()
    route = ("*", web.url("batch=ndjson&linger=10ms"))
    d = daemon(node, routes=[route], env={"READ_FROM": "end"})
    c = node.container("job-0")
    c.write(oracle.source("job").take(20))
    oracle.wait_complete(web, WAIT)
    d.wait_saved(records=1)
    web.refuse("reset")
    for n in range(4):
        rotate(c, lines_of(n))
    unread = sum(p.stat().st_size for p in [*rotated(c)[1:], c.live])
    wait_for(lambda: d.metric("logtrain_drain_lag_bytes") == unread, WAIT, lambda: f"unread bytes\n{d.tail()}")
    d.stop()
    d.set_routes([])
    d.start()
    d.wait_saved(records=1)
    d.stop()
    bytes_gone, gone = one(c)
    d.set_routes([route])
    web.resume()
    d.start()
    told(web)
    assert lost(d) == [bytes_gone]
    expected = [line for n in range(4) if n + 1 not in gone for line in lines_of(n)]
    wait_for(lambda: not missing(web, expected), WAIT, lambda: f"{missing(web, expected)}\n{d.tail()}")

"""D03: a connection that is reset at any byte of a frame. And real receivers, which must understand our frames."""

import pytest
from lib.daemon import SLOW
from lib.node import cri_record
from lib.oracle import parse
from lib.peer import Mode
from lib.wait import wait_for

LINES = 3
SECOND = 1_700_000_000_000_000_000


def write(c, source, n=LINES):
    """Lines whose frames all have the same length."""
    c.write_raw(b"".join(cri_record(m, ns=SECOND + 123456789) for m in source.take(n)))


def test_D03_reset_at_every_byte_of_a_frame(node, oracle, daemon, syslog_stream):
    """One receiver for each offset of the second frame. Its first connection is reset there; the next one starts with a whole
    frame, and nothing is missing."""
    reference, url = syslog_stream()
    d = daemon(node, routes=[("*", url)])
    c = node.container("web-0")
    write(c, oracle.source("first", size=0))
    oracle.wait_complete(reference, 20).assert_exact()
    frame = reference.received() // LINES
    assert reference.received() == frame * LINES
    cut = [syslog_stream(script=[Mode(reset_after=frame + at)]) for at in range(1, frame + 1)]
    d.set_routes([("*", url) for _, url in [(reference, url), *cut]])
    d.hup()
    wait_for(lambda: sum(row["streams"] for row in d.drains()) == len(cut) + 1, 20 * SLOW, "the new routes")
    source = oracle.source("later", size=0)  # a name as long as "first"
    write(c, source)
    for at, (peer, _) in enumerate(cut, 1):
        report = oracle.wait_complete(peer, 30 * SLOW, streams=["later"])
        report.assert_exact(dup_max=2)
        broken = peer.connections[0]
        assert broken.received == frame + at and len(broken.messages) == 1 + (at == frame)
        assert parse(peer.connections[1].messages[0])[:2] == ("later", 0), "again from what is confirmed, that is from the start"
    assert len(reference.connections) == 1


# --- real receivers --------------------------------------------------------------------------------------------------

REAL = [("tcp", None, "lf"), ("tcp", None, "octet"), ("tls", "ossl", "lf"), ("tls", "ossl", "octet"),
        ("tls", "gtls", "lf"), ("tls", "gtls", "octet")]


@pytest.mark.parametrize("kind, driver, framing", REAL, ids=["-".join(filter(None, r)) for r in REAL])
def test_rsyslog_understands_every_framing(node, oracle, daemon, rsyslog, certs, kind, driver, framing):
    r = rsyslog(kind, **({"driver": driver} if driver else {}))
    options = f"framing={framing}" + (f"&ca={certs.option()}" if kind == "tls" else "")
    daemon(node, routes=[("*", r.url(options))])
    c = node.container("web-0", "shop")
    sizes = oracle.source("a", size=lambda seq: 20 + seq * 7 % 3000)
    c.write(sizes.take(1000))
    oracle.wait_complete(r, 30).assert_exact()
    assert {line.split(b"|", 5)[2] for line in r.lines()} == {b"web.shop"}


def test_rsyslog_takes_lines_from_udp(node, oracle, daemon, rsyslog):
    r = rsyslog("udp")
    daemon(node, routes=[("*", r.url("max=4k"))])
    node.container("web-0", "shop").write(oracle.source("a", size=lambda seq: 20 + seq * 7 % 3000).take(500))
    oracle.wait_complete(r, 30).assert_exact()

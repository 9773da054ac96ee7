"""Which lines go to a drain: containers=, stream=, include=, exclude=. Exactly the wanted set arrives, over kill -9 and rotation,
and a drain that wants nothing moves on and frees files all the same."""

import re

import pytest
from lib.daemon import SLOW, run
from lib.node import Rotator, Writer
from lib.oracle import Source
from lib.wait import wait_for

FORMATS = ["json", "rfc5424", "raw"]


def web_url(peer, options=""):
    return peer.url("batch=ndjson&linger=10ms" + options)


def filtered(d, peer, reason):
    return d.drain(peer.port)["counters"]["filtered_" + reason]


def accounted(d, peer):
    """Lines that are confirmed or left out."""
    counters = d.drain(peer.port)["counters"]
    return counters["records_out"] + sum(v for k, v in counters.items() if k.startswith("filtered_"))


@pytest.mark.parametrize("format", FORMATS)
def test_each_option_leaves_out_what_it_says(node, daemon, http, format):
    peers = {name: http() for name in ("containers=app", "containers=!app", "stream=stderr", "include=wanted&include=also",
                                       "exclude=GET%20/healthz", "exclude=a%26b&stream=stdout")}
    pod = node.pod("web-0", "shop")
    app, side = pod.container("app"), pod.container("istio-proxy")
    d = daemon(node, drains=[("*", peer.url(f"batch=ndjson&linger=10ms&format={format}&{o}")) for o, peer in peers.items()])
    written = {(c, s, t) for c in ("app", "side") for s in ("stdout", "stderr")
               for t in ("wanted", "also", "GET /healthz", "a&b", "plain")}
    for c, s, t in sorted(written):
        (app if c == "app" else side).write([f"{c} {s} is {t} end".encode()], s)
    wants = {
        "containers=app": lambda c, s, t: c == "app",
        "containers=!app": lambda c, s, t: c != "app",
        "stream=stderr": lambda c, s, t: s == "stderr",
        "include=wanted&include=also": lambda c, s, t: t in ("wanted", "also"),
        "exclude=GET%20/healthz": lambda c, s, t: t != "GET /healthz",
        "exclude=a%26b&stream=stdout": lambda c, s, t: s == "stdout" and t != "a&b",
    }
    for options, peer in peers.items():
        wait_for(lambda p=peer: accounted(d, p) == len(written), 60 * SLOW, lambda p=peer: d.drain(p.port))
        wanted = sorted(f"{c} {s} is {t} end" for c, s, t in written if wants[options](c, s, t))
        got = sorted(m.decode() for m in (re.search(rb"(app|side) std\w+ is .*? end", m)[0] for m in peer.messages()))
        assert got == wanted, options
        row = d.drain(peer.port)
        assert row["lines"] == options
        assert len(written) - len(wanted) == d.metric("logtrain_drain_filtered_lines_total", drain=re.compile(f":{peer.port}#"))


def test_the_wanted_lines_over_kills_and_rotation(node, oracle, daemon, http, syslog_tcp):
    web, tcp = http(), syslog_tcp()
    c = node.container("web-0", max_files=10000)
    noise = Source("noise")     # nobody wants it
    options = "exclude=lt%20noise%20"
    d = daemon(node, drains=[("*", web_url(web, "&" + options)), ("*", tcp.url(options))])
    progress = oracle.progress(web)
    with Rotator(c, every=0.3), Writer(c, oracle.source("a"), rate=1000) as writer, Writer(c, noise, rate=2000) as other:
        for i in range(4):
            goal = 300 * (i + 1)
            wait_for(lambda g=goal: progress.distinct() >= g, 60 * SLOW, "lines to flow")
            d.kill()
            d.start()
        writer.stop()
        other.stop()
    for peer in (web, tcp):
        report = oracle.wait_complete(peer, 120 * SLOW)
        assert "noise" not in report.accounts
        # per kill: lines in flight, those of the seconds between checkpoints, and for TCP those of the commit lag
        report.assert_exact(dup_max=4 * 1000 * 60, foreign=0)
    assert noise.written > 0
    d.wait_saved()


def test_a_drain_that_wants_nothing_frees_files_and_repeats_nothing(node, daemon, http, syslog_tcp):
    web, tcp = http(), syslog_tcp()
    c = node.container("web-0", max_files=3)
    c2 = node.container("other-0", max_files=100)
    source = Source("a")
    drains = [("*", web_url(web, "&include=nothing-has-this")), ("*", tcp.url("include=nothing-has-this"))]
    d = daemon(node, drains=drains)
    for i in range(6):      # the oldest files are deleted
        c.write(source.take(500))
        c2.write(source.take(10))
        for peer in (web, tcp):
            wait_for(lambda p=peer, n=i: filtered(d, p, "include") == (n + 1) * 510, 60 * SLOW, lambda p=peer: d.drain(p.port))
        c.rotate(reopen_delay=0)
    wait_for(lambda: d.metric("logtrain_held_bytes") == 0, 60 * SLOW, "deleted files to be closed")
    d.wait_saved(records=4)
    d.kill()
    c.write(source.take(7))
    d.start()
    for peer in (web, tcp):
        wait_for(lambda p=peer: filtered(d, p, "include") == 7, 60 * SLOW, lambda p=peer: d.drain(p.port))
        row = d.drain(peer.port)
        assert row["counters"]["filtered_include"] == 7, "lines were read again"
        assert row["counters"]["records_out"] == 0 and not any(v for k, v in row["counters"].items() if k.startswith("lost"))
        assert not peer.messages()
    d.wait_saved()
    d.stop()
    d.start()
    c.write(source.take(3))
    for peer in (web, tcp):
        wait_for(lambda p=peer: filtered(d, p, "include") == 3, 60 * SLOW, lambda p=peer: d.drain(p.port))
        assert filtered(d, peer, "include") == 3


def test_changed_options_keep_the_position(node, oracle, daemon, http):
    web = http()
    c = node.container("web-0")
    a, noise, b = oracle.source("a"), Source("noise"), oracle.source("b")
    d = daemon(node, routes=[("*", web_url(web))])
    c.write(a.take(50))
    d.wait_confirmed(web.port, 60)
    d.set_routes([("*", web_url(web, "&exclude=noise"))])
    d.hup()
    wait_for(lambda: any(r.get("lines") == "exclude=noise" for r in d.drains()), 60 * SLOW, lambda: d.drains())
    c.write(noise.take(20))
    c.write(b.take(50))
    oracle.wait_complete(web, 60 * SLOW).assert_exact()
    d.wait_confirmed(web.port, 60)
    d.wait_saved()
    d.stop()
    d.set_routes([("*", web_url(web, "&exclude=noise&stream=stdout"))])     # changed while it was down
    d.start()
    c.write(a.take(50))
    oracle.wait_complete(web, 60 * SLOW).assert_exact()


@pytest.mark.parametrize("option,why", [
    ("containers=", "option 'containers' has no name"),
    ("containers=a*", "option 'containers' must be names of containers"),
    ("stream=stdin", "option 'stream' must be some of stdout and stderr"),
    ("streams=stderr", "option 'streams' is not for this scheme, but for victorialogs+http; did you mean 'stream'"),
    ("exclud=a", "unknown option 'exclud', did you mean 'exclude'"),
    ("include=", "option 'include' must be a text of 1 to 256 bytes"),
    ("exclude=" + "x" * 257, "option 'exclude' must be a text of 1 to 256 bytes"),
    ("exclude=~sEcReT", "option 'exclude': texts that begin with '~'"),
    ("stream=stdout&stream=stderr", "option 'stream' is given twice"),
])
def test_bad_options_are_named(option, why):
    result = run("--check", "syslog+tcp://logs.example?" + option)
    assert result.returncode == 2
    assert why in result.stderr and "sEcReT" not in result.stderr


def test_check_shows_them():
    text = "containers=app,!side&stream=stderr&exclude=GET%20/healthz"
    result = run("--check", "http://logs.example?" + text)
    assert result.returncode == 0
    assert re.search(rf"^lines +{re.escape(text)}$", result.stdout, re.MULTILINE)

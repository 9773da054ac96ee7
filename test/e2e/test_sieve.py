"""Which lines go to a drain: containers=, streams=, include=, exclude=, level=, sample=, rate=, redact=. Exactly the wanted set arrives, over kill -9 and rotation,
and a drain that wants nothing moves on and frees files all the same."""

import re

import pytest
from lib.daemon import SLOW, run
from lib.node import Rotator, Writer, cri_record
from lib.oracle import Source, parse
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
    peers = {name: http() for name in ("containers=app", "containers=!app", "streams=stderr", "include=wanted&include=also",
                                       "exclude=GET%20/healthz", "exclude=a%26b&streams=stdout")}
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
        "streams=stderr": lambda c, s, t: s == "stderr",
        "include=wanted&include=also": lambda c, s, t: t in ("wanted", "also"),
        "exclude=GET%20/healthz": lambda c, s, t: t != "GET /healthz",
        "exclude=a%26b&streams=stdout": lambda c, s, t: s == "stdout" and t != "a&b",
    }
    for options, peer in peers.items():
        wait_for(lambda p=peer: accounted(d, p) == len(written), 60 * SLOW, lambda p=peer: d.drain(p.port))
        wanted = sorted(f"{c} {s} is {t} end" for c, s, t in written if wants[options](c, s, t))
        got = sorted(m.decode() for m in (re.search(rb"(app|side) std\w+ is .*? end", m)[0] for m in peer.messages()))
        assert got == wanted, options
        row = d.drain(peer.port)
        assert row["lines"] == options
        assert len(written) - len(wanted) == d.metric("logtrain_drain_filtered_lines_total", drain=re.compile(f":{peer.port}#"))


class Levelled(Source):
    """Lines that give themselves a level."""

    def __init__(self, name, level):
        super().__init__(name)
        self.level = level

    def next(self):
        return self.level + b" " + super().next()


@pytest.mark.parametrize("options", ["exclude=~lt%20n[a-z]*%20", "level=warn&redact=~x[.]Y"])
def test_the_wanted_lines_over_kills_and_rotation(node, oracle, daemon, http, syslog_tcp, options):
    web, tcp = http(), syslog_tcp()
    c = node.container("web-0", max_files=10000)
    noise = Levelled("noise", b"2024-01-02 15:04:05,123 [main] DEBUG x.Y -")     # nobody wants it
    oracle.sources["a"] = Levelled("a", b"2024-01-02 15:04:05,123 [main] WARN x.Y -")
    d = daemon(node, drains=[("*", web_url(web, "&" + options)), ("*", tcp.url(options))])
    progress = oracle.progress(web)
    with Rotator(c, every=0.3), Writer(c, oracle.sources["a"], rate=1000) as writer, Writer(c, noise, rate=2000) as other:
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
        assert "redact" not in options or not any(b"x.Y" in m for m in peer.messages())
    assert noise.written > 0
    d.wait_saved()


def test_expressions(node, daemon, http):
    """An expression that takes too long keeps the line, and counts it: the same with PCRE2's JIT and without it, on each try."""
    evil = "(a%7Caa)%2B$"
    options = ["include=~%5EGET%20/[a-c]&include=%25", "exclude=~status=5[0-9]{2}&exclude=~(?i)HEALTHZ", f"exclude=~{evil}",
               f"exclude=~(*NO_JIT){evil}"]
    peers = [http() for _ in options]
    c = node.container("web-0")
    d = daemon(node, drains=[("*", web_url(peer, "&" + o)) for peer, o in zip(peers, options)])
    lines = [b"GET /a", b"GET /d", b"50%", b"x status=503 y", b"status=404", b"/healthz", b"a" * 60 + b"!", b"b" + b"a" * 3, b"last one"]
    for turn in range(20):
        c.write([line + b" turn %d" % turn if i % 2 else line for i, line in enumerate(lines)])
    wanted = [lambda t: t.startswith((b"GET /a", b"GET /b")) or b"%" in t, lambda t: b"status=503" not in t and b"/healthz" not in t,
              lambda t: not t.endswith(b"a"), lambda t: not t.endswith(b"a")]
    for i, peer in enumerate(peers):
        wait_for(lambda p=peer: accounted(d, p) == 20 * len(lines), 60 * SLOW, lambda p=peer: d.drain(p.port))
        want = [t for turn in range(20) for k, line in enumerate(lines)
                if wanted[i](t := line + b" turn %d" % turn if k % 2 else line)]
        assert [m for q in peer.accepted() for m in q.messages()] == want, options[i]
        undecided = d.drain(peer.port)["counters"]["undecided"]
        assert undecided == (20 if i > 1 else 0)
    assert d.metric("logtrain_drain_undecided_lines_total", drain=re.compile(f":{peers[2].port}#")) == 20


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_masked_does_not_leave(node, daemon, http, format):
    peer = http()
    c = node.container("web-0")
    d = daemon(node, drains=[("*", peer.url(f"batch=ndjson&linger=10ms&format={format}&level=auto&redact=cards,emails,tokens,ipv4"
                                            "&redact=~id=[0-9]%2B&redact=~(a%7Caa)%2B$"))])
    secrets = ["4111 1111 1111 1111", "378282246310005", "user@host.example", "192.0.2.1", "AKIAIOSFODNN7EXAMPLE", "id=4711"]
    masks = ["[card]", "[card]", "[email]", "[ipv4]", "[token]", "[redacted]"]
    want = []
    for secret, mask in zip(secrets, masks):
        c.write([f"WARN: {mask[1:4]} {secret} end".encode()])
        want.append(f"WARN: {mask[1:4]} {mask} end")
    c.write_raw(cri_record(b"in two 4111 1111 1", tag=b"P") + cri_record(b"111 1111 pieces"))     # joined first
    c.write([b"nothing to mask", b"evil " + b"a" * 60 + b"!"])      # what cannot be checked does not leave
    want += ["in two [card] pieces", "nothing to mask", "[not checked]"]
    wait_for(lambda: accounted(d, peer) == len(want), 60 * SLOW, lambda: d.drain(peer.port))
    sent = b"".join(r.body for r in peer.accepted()).decode()
    got = re.findall(r"(?:WARN: \w+ |in two |nothing |evil )?(?:\[[a-z4 ]+\]|to mask)(?: end| pieces)?", sent)
    assert got == want, sent
    assert not any(secret in sent for secret in secrets + ["aaaa"])
    assert d.drain(peer.port)["counters"]["redacted"] == len(want) - 1
    assert d.metric("logtrain_drain_redacted_lines_total", drain=re.compile(f":{peer.port}#")) == len(want) - 1
    assert d.drain(peer.port)["lines"].endswith("redact=cards,emails,tokens,ipv4&redact=~...&redact=~...")


def test_the_level_is_the_severity(node, daemon, http, syslog_tcp):
    everything, warn, tcp = http(), http(), syslog_tcp()
    lines = [(b'{"level":30,"msg":"pino"}', 6), (b'{"level":50,"msg":"pino"}', 3), (b'{"severity":"NOTICE"}', 5),
             (b'ts=1 level=warn msg="logfmt"', 4), (b"E0102 15:04:05.000000 1 x.go:1] klog", 3),
             (b"2024-01-02 15:04:05,123 [main] DEBUG x.Y - log4j", 7), (b"2024/01/02 15:04:05 [emerg] 1#1: nginx", 0),
             (b"2024-01-02 15:04:05.000 UTC [1] FATAL:  postgres", 2), (b"no level at all", None)]
    c = node.container("web-0")
    d = daemon(node, drains=[("*", everything.url("batch=ndjson&linger=10ms&level=auto")), ("*", web_url(warn, "&level=warn")),
                             ("*", tcp.url("level=Error"))])
    for stream in ("stdout", "stderr"):
        c.write([text for text, _ in lines], stream)
    for peer in (everything, warn, tcp):
        wait_for(lambda p=peer: accounted(d, p) == 2 * len(lines), 60 * SLOW, lambda p=peer: d.drain(p.port))
    want = [(text, (3 if stream else 6) if level is None else level) for stream in range(2) for text, level in lines]

    def got(peer):
        return [(r["message"].encode(), r["severity"]) for q in peer.accepted() for r in q.records()]
    assert got(everything) == want
    below = [level is not None and level > 4 for _, level in lines] * 2
    assert got(warn) == [pair for pair, out in zip(want, below) if not out]
    below = [level is not None and level > 3 for _, level in lines] * 2
    assert [int(re.match(rb"<(\d+)>1 ", m)[1]) for m in tcp.messages()] == [8 + s for (_, s), out in zip(want, below) if not out]
    assert filtered(d, tcp, "level") == sum(below)


def test_a_sample_is_the_same_everywhere_and_each_time(node, daemon, http, syslog_tcp):
    web, again, tcp = http(), http(), syslog_tcp()
    c = node.container("web-0", max_files=100)
    source = Source("a")
    d = daemon(node, drains=[("*", web_url(web, "&sample=0.2")), ("*", tcp.url("sample=0.2")),
                             ("*", web_url(again, "&sample=0.2&sd=true"))])
    again.default = 503     # retried again and again
    for i in range(4):
        c.write(source.take(1000))
        for peer in (web, tcp):
            wait_for(lambda p=peer, n=i: accounted(d, p) == (n + 1) * 1000, 60 * SLOW, lambda p=peer: d.drain(p.port))
        c.rotate(reopen_delay=0)
    wait_for(lambda: d.drain(again.port)["counters"]["retries"] >= 3, 60 * SLOW, lambda: d.drain(again.port))
    again.default = 200
    wait_for(lambda: accounted(d, again) == 4000, 120 * SLOW, lambda: d.drain(again.port))

    def sequence(peer):
        return [parse(m)[1] for m in peer.messages()]
    assert sequence(web) == sequence(tcp) == sequence(again)
    assert 600 < len(sequence(web)) < 1000
    assert filtered(d, again, "sample") == 4000 - len(sequence(web)), "a retry was counted again"
    d.wait_saved()
    d.kill()
    d.start()
    c.write(source.take(1000))
    for peer in (web, tcp, again):
        wait_for(lambda p=peer: accounted(d, p) >= 1000, 60 * SLOW, lambda p=peer: d.drain(p.port))
    assert sequence(web) == sequence(tcp) == sequence(again)


def test_the_rate_is_that_of_the_lines(node, daemon, http, syslog_tcp):
    """Not of the reading: what waited while its receiver was down passes as if it had not waited."""
    web, tcp = http(), syslog_tcp()
    web.default = 503
    c = node.container("web-0")
    other = node.container("web-1")
    second = 10**9
    lines = [(i // 100 * second + 10**18, f"line {i} end") for i in range(1000)]     # 100 in each of 10 seconds
    options = "rate=20/s,30"
    d = daemon(node, drains=[("*", web_url(web, "&" + options)), ("*", tcp.url(options))])
    for one in (c, other):
        one.write_raw(b"".join(cri_record(text.encode(), ns=ns) for ns, text in lines))
    wait_for(lambda: accounted(d, tcp) == 2000, 60 * SLOW, lambda: d.drain(tcp.port))
    wait_for(lambda: d.drain(web.port)["counters"]["retries"] >= 2, 60 * SLOW, lambda: d.drain(web.port))
    web.default = 200
    wait_for(lambda: accounted(d, web) == 2000, 120 * SLOW, lambda: d.drain(web.port))
    want = [f"line {100 * s + i} end" for s in range(10) for i in range(30 if s == 0 else 20)]
    for peer in (web, tcp):
        assert filtered(d, peer, "rate") == 2 * (1000 - len(want))
        got = [m.decode() for m in (re.search(rb"line \d+ end", m)[0] for m in peer.messages())]
        assert sorted(got) == sorted(2 * want)


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
    d.set_routes([("*", web_url(web, "&exclude=noise&streams=stdout"))])     # changed while it was down
    d.start()
    c.write(a.take(50))
    oracle.wait_complete(web, 60 * SLOW).assert_exact()


@pytest.mark.parametrize("option,why", [
    ("containers=", "option 'containers' has no name"),
    ("containers=a*", "option 'containers' must be names of containers"),
    ("streams=stdin", "option 'streams' must be some of stdout and stderr"),
    ("level=loud", "option 'level' must be auto, debug, info"),
    ("rate=10", "option 'rate' must be N/s, N/m or N/h"),
    ("sample=0", "option 'sample' must be a part of all lines"),
    ("exclud=a", "unknown option 'exclud', did you mean 'exclude'"),
    ("include=", "option 'include' must be a text of 1 to 256 bytes"),
    ("exclude=" + "x" * 257, "option 'exclude' must be a text of 1 to 256 bytes"),
    ("exclude=~sEcReT(", "option 'exclude': missing closing parenthesis at byte 7"),
    ("redact=cards,sEcReT", "option 'redact' must be some of cards, emails, tokens and ipv4, or '~' and an expression"),
    ("redact=~sEcReT(", "option 'redact': missing closing parenthesis at byte 7"),
    ("streams=stdout&streams=stderr", "option 'streams' is given twice"),
])
def test_bad_options_are_named(option, why):
    result = run("--check", "syslog+tcp://logs.example?" + option)
    assert result.returncode == 2
    assert why in result.stderr and "sEcReT" not in result.stderr


def test_check_shows_them():
    text = "containers=app,!side&streams=stderr&exclude=GET%20/healthz"
    result = run("--check", "http://logs.example?" + text)
    assert result.returncode == 0
    assert re.search(rf"^lines +{re.escape(text)}$", result.stdout, re.MULTILINE)

"""docs/faults.md#files: the content of files. Lines in pieces, without an end, of any length and with any bytes. Both drains get
exactly what was written, or what is documented instead."""

import re

import pytest
from lib.daemon import SANITIZED, SLOW
from lib.node import ENCODERS, cri_record, docker_record, encode_cri
from lib.oracle import make, padding
from lib.preload import Clock
from lib.sinks import sinks  # noqa: F401
from lib.wait import wait_for

MIB = 1 << 20
MARK = b" [logtrain: line cut]"
NS = 1_700_000_000_123_456_789
HTTP = re.compile("^http")


def pieces(message, n):
    """<message> in <n> pieces of similar size."""
    step = len(message) // n
    return [message[i * step:(i + 1) * step if i < n - 1 else None] for i in range(n)]


def interleaved(out, err, record):
    """The bytes of a file with <out> in three pieces and <err> in two, interleaved."""
    a, b = pieces(out, 3), pieces(err, 2)
    order = [(a[0], False, "stdout"), (b[0], False, "stderr"), (a[1], False, "stdout"), (b[1], True, "stderr"),
             (a[2], True, "stdout")]
    return b"".join(record(text, last, stream) for text, last, stream in order)


RECORDS = {
    "cri": lambda text, last, stream: cri_record(text, b"F" if last else b"P", stream, ns=NS),
    "docker": lambda text, last, stream: docker_record(text, stream, ns=NS, newline=last),
}


@pytest.mark.parametrize("format", RECORDS)
def test_F14_split_at_every_byte(node, oracle, daemon, sinks, format):
    """One container for each byte of the file: the first container's file is written in two parts, split after its first byte,
    and so on."""
    def content(i):
        return interleaved(make(f"out{i:04}", 0, 60), make(f"err{i:04}", 0, 60), RECORDS[format])

    d = daemon(node, drains=sinks.drains())
    files = []
    for at in range(1, len(content(0))):
        c = node.container(f"web-{at}")
        oracle.source(f"out{at:04}", 60).next()
        oracle.source(f"err{at:04}", 60).next()
        files.append((c, content(at), at))
    unfinished = 0
    for c, data, at in files:
        c.write_raw(data[:at])
        unfinished += at - (data.rfind(b"\n", 0, at) + 1)
    wait_for(lambda: d.metric("logtrain_streams") == len(files) and
             d.metric("logtrain_drain_lag_bytes", drain=HTTP) == unfinished, 20 * SLOW, "the first parts to be read")
    for c, data, at in files:
        c.write_raw(data[at:])
    sinks.exact()
    sinks.quiet()
    sinks.exact()


def test_F14_connection_lost_before_the_end(node, oracle, daemon, sinks):
    """Cursors go back, but not to a position inside a line whose end is not there yet."""
    c = node.container()
    out, err = oracle.source("out", 60000), oracle.source("err", 300)
    d = daemon(node, drains=sinks.drains())
    for _ in range(3):
        parts = encode_cri([out.next()])
        c.write_raw(parts[0] + parts[1])
        c.write(err.take(1), "stderr")
        wait_for(lambda: d.metric("logtrain_drain_lag_bytes", drain=HTTP) == 0, 10 * SLOW, "everything to be read")
        ends = d.metric("logtrain_drain_disconnects_total")
        failures = len(d.log_lines("drain failing drain=http"))
        sinks.refuse()
        c.write(err.take(1), "stderr")
        wait_for(lambda: d.metric("logtrain_drain_disconnects_total") > ends, 10 * SLOW, "the lost connection")
        wait_for(lambda: len(d.log_lines("drain failing drain=http")) > failures, 10 * SLOW, "a failed request")
        c.write_raw(parts[2] + parts[3])
        sinks.resume()
        sinks.complete()
    tcp, web = sinks.reports()
    web.assert_exact()
    tcp.assert_exact(dup_max=20)  # nothing is confirmed this soon


@pytest.mark.parametrize("deleted", [False, True])
def test_F15_beginning_in_the_old_file_end_in_the_new(node, oracle, daemon, sinks, deleted):
    """The file with the line's beginning may be deleted before its end is written: it is kept open until then."""
    c = node.container(max_files=2)
    out, err, other = oracle.source("out", 40000), oracle.source("err", 20000), oracle.source("other")
    d = daemon(node, drains=sinks.drains())
    for _ in range(3):
        a, b = encode_cri([out.next()]), encode_cri([err.next()], "stderr")
        for part in (a[0] + b[0], a[1], b[1], None, None, None):
            c.write_raw(part) if part else c.write(other.take(10), "stderr")
            c.rotate(reopen_delay=0, clean=deleted)
            wait_for(lambda: str(c.live) in d.fds(), 10 * SLOW, "the new file to be opened")
        sinks.complete(streams=["other"])
        assert any(" (deleted)" in path for path in d.fds()) == deleted
        c.write_raw(a[2])
    sinks.exact()
    sinks.quiet()
    sinks.exact()
    wait_for(lambda: d.metric("logtrain_held_bytes") == 0, 15 * SLOW, "the old files to be let go")


def test_F15_no_end_after_a_restart(node, oracle, daemon, sinks):
    """The unfinished line of a container that ended is sent as it is, and not joined with the next container's line."""
    c = node.container()
    daemon(node, drains=sinks.drains())
    for stream in ("stdout", "stderr"):
        c.write_raw(cri_record(b"unfinished on " + stream.encode(), b"P", stream))
    c.restart()
    c.write(oracle.source("a").take(10))
    c.write(oracle.source("b").take(10), "stderr")
    sinks.complete()
    for texts in sinks.texts():
        assert sorted(texts[:2]) == [b"unfinished on stderr", b"unfinished on stdout"] and len(texts) == 22


def test_F16_endless_partial_line(node, oracle, daemon, sinks):
    """64 MiB of P without an F. Its start is sent with a mark, the rest is skipped, and other streams are not delayed."""
    c = node.container()
    err, out = oracle.source("err"), oracle.source("out")
    d = daemon(node, drains=sinks.drains())
    c.write(out.take(10))
    chunk = padding(0, 16384)
    block = cri_record(chunk, b"P") * 64
    for _ in range(64):
        c.write_raw(block)
        c.write(err.take(5), "stderr")
    sinks.complete(60)
    c.write_raw(cri_record(b"the end"))
    c.write(out.take(100))
    sinks.exact(foreign=1)
    for texts in sinks.texts():
        cut = [t for t in texts if t.endswith(MARK)]
        assert cut == [chunk * 64 + MARK]
    assert d.metric("logtrain_cut_lines_total") == len(sinks.peers)
    if not SANITIZED:
        assert d.rss_peak() < d.metric("logtrain_memory_bound_bytes")


FORMS = {
    "one line": (lambda message: cri_record(message), "cri"),
    "chunks": (lambda message: b"".join(encode_cri([message])), "cri"),
    "plain": (lambda message: message + b"\n", "plain"),
}


@pytest.mark.parametrize("form", FORMS)
def test_F17_long_lines(node, oracle, daemon, sinks, form):
    encode, format = FORMS[form]
    c = node.container(format=format)
    source = oracle.source("a")
    d = daemon(node, drains=sinks.drains())
    expected, cut = source.take(1), 0
    c.write(expected)
    for size in (MIB - 1, MIB, MIB + 1, 16 * MIB, MIB, 100 * MIB):
        long = padding(size, size)
        c.write_raw(encode(long))
        after = source.take(3)
        c.write(after)
        expected += [long if size <= MIB else long[:MIB] + MARK] + after
        cut += size > MIB
    sinks.complete(60)
    for texts in sinks.texts():
        assert [len(t) for t in texts] == [len(e) for e in expected]
        assert texts == expected
    assert d.metric("logtrain_cut_lines_total") == cut * len(sinks.peers)
    if not SANITIZED:
        assert d.rss_peak() < d.metric("logtrain_memory_bound_bytes")


def test_F17_another_limit(node, oracle, daemon, sinks):
    c = node.container()
    daemon(node, drains=sinks.drains(), env={"MAX_LINE": "4m"})
    expected = []
    for size in (4 * MIB, 4 * MIB + 1, 100):
        long = padding(size, size)
        c.write(long)
        expected.append(long if size <= 4 * MIB else long[:4 * MIB] + MARK)
    sinks.wait_count(3)
    for texts in sinks.texts():
        assert [len(t) for t in texts] == [len(e) for e in expected]
        assert texts == expected


NASTY = [
    b"NUL \0 inside", b"\0", b"\0\0\0", b"ends in NUL\0", b"bad \xff\xfe bytes", b"\xff", b"half \xe2\x82", b"\xe2\x82", b"quarter \xf0",
    b"overlong \xc0\x80", b"surrogate \xed\xa0\x80 alone", b"pair \xed\xa0\xbd\xed\xb8\x80", b"too high \xf4\x90\x80\x80",
    b"CR \r inside", b"ends in CR\r", b"\r", b"ESC \x1b[31mred\x1b[0m", b"BEL \x07 DEL \x7f", "sep \u2028 \u2029 \u0085".encode(),
    b"", b" ", b"  leads", b"trails  ", b"\t", b"\xef\xbb\xbfBOM", "emoji \U0001f600".encode(), bytes(b for b in range(256) if b != 10),
    b'{"json":"inside"}', b"<14>1 2026-11-20T10:15:00Z host app - - - syslog inside", b'"quotes" \\ and [brackets] </script>',
    b'\\ud800 \\n \\u0000', b"12 octets", b"POST / HTTP/1.1\r Host: x",
]


def test_F18_any_bytes(node, oracle, daemon, sinks, syslog_tcp):
    """Over TCP with octet counting: byte for byte. With LF framing a NUL becomes a space. In JSON, invalid UTF-8 becomes U+FFFD,
    and the body is always valid."""
    c = node.container()
    lf = syslog_tcp()
    daemon(node, drains=[*sinks.drains(), ("*", lf.url("framing=lf"))])
    source = oracle.source("a")
    written = [m for nasty in NASTY for m in (nasty, source.next())]
    c.write(written)
    c.write(written[::-1], "stderr")
    expected = written + written[::-1]
    sinks.wait_count(len(expected))
    wait_for(lambda: lf.count() >= len(expected), 10 * SLOW, "all lines with LF framing")
    tcp, web = sinks.texts()
    assert tcp == expected
    assert web == [m.decode("utf-8", "replace").encode() for m in expected]
    assert [m.split(b" - - - ", 1)[1] for m in lf.messages()] == [m.replace(b"\0", b" ") for m in expected]


def test_F18_any_escapes(node, daemon, sinks):
    """Docker's files: the characters that the escapes stand for, U+FFFD for half a surrogate pair."""
    cases = [("\\u0000 \\u001b[1m", b"\0 \x1b[1m"), ("\\ud83d\\ude00", "\U0001f600".encode()), ("\\ud83d alone", "\ufffd alone".encode()),
             ("\\ude00 low", "\ufffd low".encode()), ("\\u2028\\u2029", "\u2028\u2029".encode()), ("\\ufffd", "\ufffd".encode()),
             ("\\\\ \\\" \\/ \\t \\r", b"\\ \" / \t \r"), ("", b""), ("\\u003c\\u003e\\u0026", b"<>&")]
    c = node.container(format="docker")
    daemon(node, drains=sinks.drains())
    for text, _ in cases:
        c.write_raw(b'{"log":"%s\\n","stream":"stderr","time":"2026-11-20T10:15:00.5Z"}\n' % text.encode())
    sinks.wait_count(len(cases))
    for texts in sinks.texts():
        assert texts == [plain for _, plain in cases]


MALFORMED = [
    b"no prefix at all", b"x", b"2026-11-20T10:15:00Z", b"2026-11-20T10:15:00Z stdout", b"2026-11-20T10:15:00Z stdout ",
    b"2026-11-20T10:15:00Z stdin F wrong stream", b"2026-11-20T10:15:00Z stdout X wrong tag", b"2026-13-20T10:15:00Z stdout F month",
    b"2026-11-32T10:15:00Z stdout F day", b"2026-11-20T25:15:00Z stdout F hour", b"2026-11-20T10:60:00Z stdout F minute",
    b"2026-11-20T10:15:61Z stdout F second", b"2026-11-20 10:15:00Z stdout F no T", b"2026-11-20T10:15:00 stdout F no zone",
    b"2026-11-20T10:15:00.Z stdout F no fraction", b"2026-11-20T10:15:00.1234567890Z stdout F ten digits", b"-026-11-20T10:15:00Z stdout F x",
    b" 2026-11-20T10:15:00Z stdout F a space first", b'{"log":"no end', b'{"log":', b"{", b"{}", b"[]", b"null", b'{"log":5,"time":3}',
    b"[" * 5000, b'{"a":' * 5000, b"\xff" * 100, b"P" * 70000, b"",
]
TIMES = [b"1970-01-01T00:00:00Z", b"1969-12-31T23:59:59.999999999Z", b"2262-04-11T23:47:16.854775807Z", b"2262-04-12T00:00:00Z",
         b"9999-12-31T23:59:59.999999999Z", b"0001-01-01T00:00:00Z", b"2026-06-30T23:59:60Z", b"2026-06-30T23:59:60.5+00:00",
         b"2026-11-20T10:15:00.1+14:00", b"2024-02-29T00:00:00-12:00"]


def test_F19_malformed_lines_pass_whole(node, oracle, daemon, sinks):
    c = node.container()
    source = oracle.source("a")
    d = daemon(node, drains=sinks.drains())
    expected = []
    for line in MALFORMED:
        message = source.next()
        c.write_raw(line + b"\n" + cri_record(message))
        expected += [line, message]
    sinks.wait_count(len(expected))
    for texts, to_text in zip(sinks.texts(), (bytes, lambda m: m.decode("utf-8", "replace").encode())):
        assert texts == [to_text(m) for m in expected]
    assert d.metric("logtrain_raw_lines_total") == len(MALFORMED) * len(sinks.peers)


def test_L15_an_empty_message_without_its_blank(node, oracle, daemon, sinks):
    """A tool has stripped the blanks at line ends: the message is empty, and no header becomes a message."""
    c = node.container()
    source = oracle.source("a")
    d = daemon(node, drains=sinks.drains())
    expected = []
    for tag in (b"F", b"F:x", b"F "):
        for time in (b"2026-11-20T10:15:00Z", b"2026-11-20T10:15:00.123456789Z", b"2026-11-20T10:15:00.1+02:00"):
            message = source.next()
            c.write_raw(b"%s stderr %s\n" % (time, tag) + cri_record(message))
            expected += [b"", message]
    c.write_raw(b"2026-11-20T10:15:00Z stdout P\n2026-11-20T10:15:00Z stdout F end\n")
    expected.append(b"end")
    sinks.wait_count(len(expected))
    for texts in sinks.texts():
        assert texts == expected
    assert d.metric("logtrain_raw_lines_total") == 0


def nuls_in_a_log(source, format):
    """The content after a power loss of the node: (bytes, messages that must be delivered)."""
    encode = ENCODERS[format]
    out, messages = b"", []

    def lines(n):
        nonlocal out
        new = source.take(n)
        messages.extend(new)
        out += b"".join(encode(new))

    for size in (1, 511, 4096, 70000, 300000, 3 << 20):
        lines(2)
        out += b"\0" * size
        lines(1)
        out += encode([b"whole, and its end torn off"])[0][:-9] + b"\0" * size
        messages.append(b"whole, and its end " if format == "cri" else None)
        lines(1)
        out += encode([b"not even a header"])[0][:12] + b"\0" * size
        lines(1)
        part = docker_record(b"one", newline=False) if format == "docker" else cri_record(b"one", tag=b"P")
        out += part + b"\0" * size
        messages.append(b"one")
        lines(1)
        out += part + b"neither of the two\n"
        messages.extend([b"one", b"neither of the two"])
        lines(1)
    return out, [m for m in messages if m is not None]


@pytest.mark.parametrize("format", ["cri", "docker"])
def test_L08_nuls_of_a_power_loss(node, oracle, daemon, sinks, format):
    """They are a hole, however many: no line starts inside it, is joined across it, or is cut because of it. Once for a daemon
    that starts later, once for one that runs while they are written."""
    c = node.container(format=format)
    source = oracle.source("a")
    d = daemon(node, drains=sinks.drains())
    data, messages = nuls_in_a_log(source, format)
    c.write_raw(data)
    sinks.wait_count(len(messages))
    more, rest = nuls_in_a_log(source, format)
    for at in range(0, len(more), 333333):
        c.write_raw(more[at:at + 333333])
    sinks.wait_count(len(messages + rest))
    for texts in sinks.texts():
        assert [t.removesuffix(MARK) for t in texts] == messages + rest
    assert d.metric("logtrain_hole_bytes_total") > 20 * MIB


def test_F19_any_time(node, daemon, sinks):
    """The time is the runtime's, whatever it is. RFC 5424 allows six digits of a fraction; no drain gets a second 60, which many
    receivers cannot parse."""
    c = node.container()
    d = daemon(node, drains=sinks.drains())
    for time in TIMES:
        c.write_raw(b"%s stdout F at %s\n" % (time, time))
    sinks.wait_count(len(TIMES))
    assert [t.split()[-1] for t in sinks.texts()[0]] == TIMES
    assert [r["time"].encode() for q in sinks.web.requests for r in q.records()] == [t.replace(b":60", b":59") for t in TIMES]
    for sent, time in zip(sinks.tcp.messages(), TIMES):
        stamp = sent.split(b" ")[1]
        assert re.fullmatch(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", stamp), stamp
        assert stamp[:16] == time[:16]
    assert d.metric("logtrain_raw_lines_total") == 0


@pytest.mark.parametrize("rest", [b"\n", b" and more\n"])
def test_F20_last_line_without_newline(node, oracle, daemon, sinks, rest):
    """It is sent when nothing was written for some time. Text written to it later damages no other line."""
    c = node.container()
    source = oracle.source("a")
    d = daemon(node, drains=sinks.drains(), env={"PARTIAL_TIMEOUT": "300ms"})
    c.write(source.take(10))
    for _ in range(2):
        c.write_raw(cri_record(source.next())[:-1])
        sinks.exact(foreign=None)
        c.write_raw(rest)
        c.write(source.take(10))
    sinks.complete()
    sinks.quiet()
    sinks.exact(foreign=0 if rest == b"\n" else 2)
    if rest != b"\n":
        for texts in sinks.texts():
            assert texts.count(rest[:-1]) == 2
    assert d.metric("logtrain_cut_lines_total") == 0


@pytest.mark.parametrize("end", ["restart", "delete", "rotate"])
def test_F20_last_line_of_a_container(node, oracle, daemon, sinks, tmp_path, end):
    """Sent without waiting for the timeout, if nothing more can be written."""
    clock = Clock(tmp_path)
    c = node.container()
    source = oracle.source("a")
    d = daemon(node, drains=sinks.drains(), env={**clock.env, "PARTIAL_TIMEOUT": "1h"})
    c.write(source.take(10))
    c.write_raw(cri_record(source.next())[:-1])
    sinks.wait_count(10)
    if end == "restart":
        c.restart()
        c.write(source.take(10))
    elif end == "rotate":
        c.rotate()
        c.write(source.take(10))
    else:
        c.pod.delete()

        def over():
            clock.step(mono=1)
            return d.metric("logtrain_streams") == 0
        wait_for(over, 20 * SLOW, "the stream to end")
    sinks.complete()
    sinks.quiet()
    sinks.exact()

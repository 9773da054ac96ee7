"""What real programs send: Python's SysLogHandler, Logplex, devices with a wrong clock, and senders that stop in the middle of a
message. Rows L12, L13 and L15."""

import logging
import logging.handlers
import re
import socket

import pytest
from lib.daemon import SLOW, limits
from lib.listener import NUMBER, Listener, complete, line, numbers
from lib.preload import Clock
from lib.wait import wait_for

ON = {"KUBERNETES": "false", "HTTP_EVENTS": "true", "HTTP_SYSLOG": "true", "HTTP_ADDRESS": "127.0.0.1"}


# --- L12: NUL at the end of a message, and messages that do not end ------------------------------------------------------

@pytest.mark.parametrize("how", ["tcp", "udp"])
def test_L12_pythons_SysLogHandler(daemon, syslog_tcp, tmp_path, how):
    """Over TCP it ends a message with NUL and writes no header: each record is delivered as soon as it is sent."""
    peer = syslog_tcp()
    d = Listener(daemon, [("*", peer.url())], tmp_path, SYSLOG_UDP="true")
    kind = socket.SOCK_STREAM if how == "tcp" else socket.SOCK_DGRAM
    handler = logging.handlers.SysLogHandler(("127.0.0.1", d.port(how)), "local3", kind)
    log = logging.Logger("sender")
    log.addHandler(handler)
    try:
        for i in range(20):
            log.warning('{"text": "hello, world"} n=%d', i)
            complete(peer, i + 1)
    finally:
        handler.close()
    for m in peer.messages():
        assert re.match(rb'<156>1 \S+ 127\.0\.0\.1 - - - \[input@32473 peer="127\.0\.0\.1"\] \{"text": "hello, world"\} n=\d+$', m), m
    assert d.metric("logtrain_input_malformed_total", how, kind="unparsed") == 0


@pytest.mark.parametrize("end", [b"\0", b"\n", b"\r\n", b"\n\0", b"\0\n"], ids=repr)
@pytest.mark.parametrize("pieces", [1, 7, 100000])
def test_L12_lines_that_end_in_LF_or_NUL(daemon, syslog_tcp, tmp_path, end, pieces):
    peer = syslog_tcp()
    d = Listener(daemon, [("*", peer.url())], tmp_path)
    data = b"".join(line(i)[:-1] + end for i in range(10))
    with d.connect() as s:
        for at in range(0, len(data), pieces):
            s.sendall(data[at:at + pieces])
        complete(peer, 10)
    assert len(peer.messages()) == 10


@pytest.mark.parametrize("framing", ["lf", "octet"])
def test_L12_a_message_that_does_not_end_is_delivered_cut(daemon, syslog_tcp, tmp_path, framing):
    """The sender stops in the middle, by FIN, by reset or by silence: the received part is delivered and counted."""
    clock, peer = Clock(tmp_path), syslog_tcp()
    d = Listener(daemon, [("*", peer.url())], tmp_path, **clock.env)
    torn = 0
    for i, how in enumerate(["fin", "reset", "silence"]):
        with d.connect() as s:
            begun = b"<13>1 - web app - - - n=%d torn" % (2 * i + 1)
            s.sendall(line(2 * i) + (b"" if framing == "lf" else b"99 ") + begun)
            complete(peer, 2 * i + 1)
            if how == "reset":
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            elif how == "silence":
                clock.step(mono=limits()["INPUT_SLOW_MS"] / 1000 + 1)
                complete(peer, 2 * i + 2)
        complete(peer, 2 * i + 2)
        torn += how != "fin" or framing == "octet"
    assert sorted(numbers(peer)) == list(range(6))
    wait_for(lambda: d.metric("logtrain_input_malformed_total", kind="framing") == torn, 20 * SLOW, "their number")


# --- L13: Logplex, and bad records among good ones -----------------------------------------------------------------------

LOGPLEX = b"<45>1 2026-11-20T10:15:00+00:00 web.shop heroku web.3 - State changed from starting to up n=%d"


def counted(messages):
    return b"".join(b"%d %s" % (len(m), m) for m in messages)


def post(d, path, body, *headers):
    """A POST: (status, text)."""
    with socket.create_connection(("127.0.0.1", d.port), 30 * SLOW) as s:
        s.sendall(b"POST %s HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n%s\r\n"
                  % (path.encode(), len(body), b"".join(h + b"\r\n" for h in headers)) + body)
        answer = b"".join(iter(lambda: s.recv(65536), b""))
    return int(answer.split()[1]), answer.partition(b"\r\n\r\n")[2].decode()


@pytest.fixture
def http_in(daemon, syslog_tcp):
    peer = syslog_tcp()
    return daemon(routes=[("*", peer.url())], env=ON), peer


def test_L13_frames_of_logplex(http_in):
    d, peer = http_in
    assert post(d, "/syslog", counted(LOGPLEX % i for i in range(50)), b"content-type: application/logplex-1") == (200, "ok\n")
    complete(peer, 50)
    assert all(re.match(rb"<45>1 2026-11-20T10:15:00\+00:00 web\.shop heroku web\.3 - \[input\S* peer=\S* State changed ", m)
               for m in peer.messages()), peer.messages()[0]


def test_L13_an_empty_line_of_logplex_is_no_bad_record(http_in):
    d, peer = http_in
    empty = LOGPLEX.partition(b"State")[0]
    assert post(d, "/syslog", counted([LOGPLEX % 0, empty, LOGPLEX % 1])) == (200, "ok\n")
    wait_for(lambda: len(peer.messages()) == 3, 60 * SLOW, "all")
    assert d.metric("logtrain_input_malformed_total", kind="framing") == 0


@pytest.mark.parametrize("framing", ["lf", "octet"])
@pytest.mark.parametrize("at", [0, 5, 10])
def test_L13_a_bad_record_costs_no_other(http_in, framing, at):
    d, peer = http_in
    records = [LOGPLEX % i for i in range(10)]
    records.insert(at, b"no syslog at all")
    body = counted(records) if framing == "octet" else b"".join(r + b"\n" for r in records)
    assert post(d, "/syslog", body) == (200, f"ok, without 1 bad of 11 records: record {at}: not a syslog message\n")
    complete(peer, 10)
    assert d.metrics().get("logtrain_input_malformed_total", input="http_syslog", kind="framing") == 1
    assert d.log_lines("request refused input=http_syslog") or d.log_lines("without 1 bad of 11 records")


@pytest.mark.parametrize("bad", [b'{"hostname":"a b"}', b'{"hostname":"web","time":"2026-02-30T00:00:00Z"}', b"17", b'{"hostname":"web',
                                 b'{"hostname":"web","severity":9}', b'{"hostname":"web",}', b"\xff\xfe"], ids=repr)
@pytest.mark.parametrize("at", [0, 5, 10])
def test_L13_a_bad_packet_costs_no_other(http_in, bad, at):
    d, peer = http_in
    packets = [b'{"hostname":"web","message":"n=%d"}' % i for i in range(10)]
    packets.insert(at, bad)
    status, text = post(d, "/events", b"\n".join(packets) + b"\n")
    assert status == 200 and text.startswith(f"ok, without 1 bad of 11 records: record {at}: "), text
    complete(peer, 10)


@pytest.mark.parametrize("path,bad,good", [
    ("/syslog", b"hello\n", line(0)), ("/events", b'{"hostname":""}', b'{"hostname":"web","message":" n=0"}')])
def test_L13_all_or_nothing_when_the_sender_asks_for_it(http_in, path, bad, good):
    d, peer = http_in
    assert post(d, path, good + bad, b"Prefer: respond-async, Handling=Strict")[0] == 400
    assert post(d, path, bad)[0] == 400                 # no valid record in it
    assert post(d, path, good, b"Prefer: handling=strict") == (200, "ok\n")
    complete(peer, 1)
    assert len(peer.messages()) == 1


def test_L13_an_invalid_count_loses_nothing_before_it(http_in):
    d, peer = http_in
    body = counted(LOGPLEX % i for i in range(5)) + b"99999999 <14>x"
    assert post(d, "/syslog", body) == (200, "ok, without 1 bad of 6 records: record 5: invalid octet count\n")
    complete(peer, 5)


# --- L15: a missing priority is not "emergency" ----------------------------------------------------------------------

def test_L15_an_event_without_severity_is_a_notice(http_in):
    d, peer = http_in
    packets = [(b"", 13), (b',"severity":3', 11), (b',"facility":4', 37), (b',"severity":0,"facility":0', 0)]
    body = b"".join(b'{"hostname":"web","message":" n=%d"%s}\n' % (i, more) for i, (more, _) in enumerate(packets))
    assert post(d, "/events", body) == (200, "ok\n")
    complete(peer, len(packets))
    assert {int(NUMBER.search(m)[1]): int(m[1:m.index(b">")]) for m in peer.messages()} == {i: pri for i, (_, pri) in enumerate(packets)}

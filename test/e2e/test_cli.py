"""The command line and the HTTP pages of the program, as a user sees them."""

import json
import os
import re
import signal
import socket
import subprocess

import pytest

from lib.daemon import BIN, ROOT, Daemon, run
from lib.wait import wait_for

CANARY = "cnry5ecretPa55"


def refused(*args, env=None):
    """Starts the daemon with a bad configuration, which must fail; returns what it prints."""
    done = run(*args, env=env)
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert CANARY not in done.stderr
    return done.stderr


# --- refused starts --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name, value", [
    ("KUBERNETES", "maybe"), ("WORKERS", "0"), ("WORKERS", "many"), ("READ_FROM", "middle"), ("MAX_LINE", "1"),
    ("MAX_LINE", "1t"), ("PARTIAL_TIMEOUT", "-1"), ("HTTP_PORT", "65536"), ("HTTP_ADDRESS", "nowhere"),
    ("DNS_SERVERS", "dns"), ("STOP_GRACE", "1d"), ("LOG_LEVEL", "loud"), ("DEBUG", "1"), ("LOGTRAIN_TRACE", "all"),
    ("POSTGRES", "yes"), ("EGRESS_PRIVATE", ""),
    ("POSTGRES_RESYNC", "0"), ("POSTGRES_TIMEOUT", "never"), ("ENVOY", "yes"), ("ENVOY_FORMAT", "xml"),
])
def test_bad_variable_is_named(name, value):
    said = refused("--drain", f"a=http://u:{CANARY}@127.0.0.1/", env={name: value})
    assert said.startswith(f"logtrain: {name}: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("name, value, word", [
    ("INPUT_HOSTNAMES", "http_evnts=web.*", "http_evnts"), ("INPUT_HOSTNAMES", "syslog_tcp=a.*, envoy=b.*", "envoy=b.*"),
    ("EXCLUDE_NAMESPACES", "kube_*", "kube_*"), ("INPUT_OWNERS", "envoi", "envoi"), ("OWNER_SCHEMES", "htps", "htps"),
    ("EGRESS_PRIVATE", "no", "no"), ("EGRESS_DENY", "intranet", "intranet"), ("EXCLUDE_NAMESPACE", "a", "EXCLUDE_NAMESPACES"),
    ("EGRESS_DENNY", "10.0.0.0/8", "EGRESS_DENY"), ("LOGTRAIN_EGRESS_DENY", "10.0.0.0/8", "mean EGRESS_DENY"),
    ("EGRESS_ALLOW", "10.0.0.5/8", "10.0.0.5/8"), ("EGRESS_DENY", "[fd00::1/64]:443", "fd00::1/64"),
    ("OWNER_SCHEMA", "https", "mean OWNER_SCHEMES"), ("EGRESS_DENIED", "10.0.0.0/8", "--help"),
    ("EXCLUDED_NAMESPACE", "a", "mean EXCLUDE_NAMESPACES"),
    ("EXCLUDE_NAMESPACES", "-a", "-a"), ("EXCLUDE_NAMESPACES", "*-", "*-"), ("LOGTRAIN_EGRES_DENY", "10.0.0.0/8", "mean EGRESS_DENY"),
    ("logtrain_egress_deny", "10.0.0.0/8", "mean EGRESS_DENY"), ("HTTP_TOKEN", "x", "mean HTTP_TOKEN_FILE"),
    ("SYSLOG_TLS_CLIENT_CA", "x", "mean SYSLOG_TLS_CLIENT_CA_PEM"), ("ENVOY_CLIENT_CA_PEM", "x", "mean ENVOY_TLS_CLIENT_CA_PEM"),
    ("ENVOY_TLS", "true", "mean ENVOY_TLS_CERT_PEM"), ("HTTP_EVENTS_TOKEN_FILE", "/x", "mean HTTP_TOKEN_FILE"),
    ("LOG_ROOT", "/a", "mean LOG_ROOTS"), ("ONLY_AKERIS", "true", "mean ONLY_AKKERIS"),
])
def test_T14_a_restriction_without_effect_refuses_to_start(name, value, word):
    said = refused("--drain", "a=null://", env={name: value})
    assert said.startswith(f"logtrain: {name}: ") and word in said


def test_T14_variables_that_look_like_ours_are_named(tmp_path):
    with Daemon(drains=[("a", "null://")], tmp=tmp_path, env={
            "KUBERNETES_LOG_PATH": tmp_path / "logs", "LOGTRAIN_TRASE": "drain", "LOGTRAIN_X": "1", "MAXLINE": "1k",
            "UNRELATED": "1"}) as d:
        said = d.log_lines("unknown environment variable")
        assert len(said) == 3
        assert "name=LOGTRAIN_TRASE meant=LOGTRAIN_TRACE" in said[0] and "name=LOGTRAIN_X " in said[1]
        assert "name=MAXLINE meant=MAX_LINE" in said[2]


@pytest.mark.parametrize("name", ["PERSISTENT"])
def test_later_feature_is_refused(name):
    assert refused("--drain", "a=null://", env={name: "true"}) == f"logtrain: {name}=true: not in this build\n"


def test_nothing_to_do_is_refused():
    assert "--drain" in refused()
    assert "KUBERNETES=true" in refused("--drain", "a=null://", env={"KUBERNETES": "false"})


def test_unknown_flag_is_named_but_not_its_value():
    said = refused(f"--drian=a=http://u:{CANARY}@h")
    assert "--drian" in said and "--help" in said
    refused(f"a=http://u:{CANARY}@h")


@pytest.mark.parametrize("flag", ["a", f"=http://u:{CANARY}@h", f"a=gopher://u:{CANARY}@h",
                                  f"a=http://u:{CANARY}@h?batch=x{CANARY}", f"a=http://u:{CANARY}@h:99999"])
def test_bad_drain_refuses_to_start(flag, tmp_path):
    done = run("--drain", flag, env={"HTTP_PORT": "0", "KUBERNETES_LOG_PATH": str(tmp_path)})
    assert done.returncode == 2
    assert "--drain" in done.stderr and "error cannot start" in done.stderr
    assert CANARY not in done.stderr


def test_missing_routes_file_refuses_to_start(tmp_path):
    done = run("--routes", str(tmp_path / "none"), env={"HTTP_PORT": "0", "KUBERNETES_LOG_PATH": str(tmp_path)})
    assert done.returncode == 1
    assert str(tmp_path / "none") in done.stderr


def test_taken_port_refuses_to_start(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("--drain", "a=null://", env={"HTTP_PORT": str(port), "HTTP_ADDRESS": "127.0.0.1",
                                                "KUBERNETES_LOG_PATH": str(tmp_path)})
    assert done.returncode == 1
    assert f"HTTP_PORT={port}" in done.stderr


# --- commands that print ---------------------------------------------------------------------------------------------

def test_help_lists_everything():
    done = run("--help")
    assert done.returncode == 0
    documented = re.findall(r"^\| `(--)?([A-Za-z_]+)", (ROOT / "docs/configuration.md").read_text(), re.MULTILINE)
    names = [dashes + name for dashes, name in documented if dashes or name.isupper()]
    assert "WORKERS" in names and "--drain" in names
    missing = [n for n in names if n not in ("TERM", "HUP") and not re.search(rf"^  {n}\b", done.stdout, re.MULTILINE)]
    assert missing == []


def test_every_drain_is_in_the_readme_and_every_option_in_its_table():
    help_text = run("--help").stdout
    readme, page = (ROOT / "README.md").read_text(), (ROOT / "docs/drains.md").read_text()
    drains, options = help_text.split("\nDrains")[1].split("\nOptions of a drain")
    schemes = [s for s in re.findall(r"^  ([a-z+]+)://  (?!.*not in this build)", drains, re.MULTILINE)]
    names = re.findall(r"^  ([a-z]+)=", options, re.MULTILINE)
    assert "syslog+tls" in schemes and "framing" in names
    assert [s for s in schemes if f"`{s}://" not in readme] == []
    tables = run("--drains-table").stdout.split("\n\n")
    assert len(tables) == 3 and all(t.strip() in page for t in tables[:2]) and tables[2].strip() in readme
    assert [n for n in names if f"\n| `{n}=` |" not in tables[1]] == []


def test_version_and_limits():
    assert re.fullmatch(r"logtrain \d+\.\d+\.\d+(\+[0-9a-f]{12})?\n", run("--version").stdout)
    limits = dict(line.split()[:2] for line in run("--limits").stdout.splitlines())
    assert limits["WORKERS_MAX"] == "64"
    assert all(v.isdigit() for v in limits.values())


@pytest.mark.parametrize("url, expected", [
    ("syslog+tls://logs.example.com", ["scheme +syslog\\+tls", "port +6514", "promise +transport", "framing +octet"]),
    ("syslog://logs.example.com", ["port +514", "promise +best effort"]),
    ("gelf+udp://logs.example.com", ["port +12201", "format +gelf", "max +8192 bytes", "promise +best effort"]),
    (f"es://u:{CANARY}@logs.example.com/?index=a-%25Y&auth=apikey",
     ["port +443", "index +a-%Y", "user +given, sent as API key", "promise +effectively once"]),
    (f"redis://u:{CANARY}@logs.example.com/c?mode=stream&maxlen=5&db=3", ["port +6379", "mode +stream", "db +3", "promise +confirmed"]),
    (f"wss://logs.example.com/x?token={CANARY}&servername=a.example", ["port +443", "message +binary, gzipped", "server name +a.example"]),
    (f"https://:{CANARY}@logs.example.com/?auth=bearer&header=X-A:{CANARY}&header={CANARY}:b",
     ["user +given, sent as bearer token", "header +2 given", "header=\\*\\*\\*"]),
    ("syslog+http://logs.example.com", ["port +80", "framing +lf", "linger +100 ms", "promise +confirmed"]),
    (f"https://u:{CANARY}@logs.example.com/in?token={CANARY}&batch=ndjson",
     ["scheme +https", "host +logs.example.com", "port +443", "batch +ndjson", "promise +confirmed", "\\*\\*\\*"]),
])
def test_check_describes_a_drain(url, expected):
    for done in (run("--check", url), run(f"--check={url}")):
        assert done.returncode == 0 and done.stderr == ""
        for pattern in expected:
            assert re.search(rf"^.*{pattern}", done.stdout, re.MULTILINE), (pattern, done.stdout)
        assert CANARY not in done.stdout


@pytest.mark.parametrize("url, reason", [
    (f"gopher://u:{CANARY}@h", "gopher"), (f"http://u:{CANARY}@h?compression={CANARY}", "compression"),
    (f"http://u:{CANARY}@h?frobnicate=1&batch=no{CANARY}", "batch"), (f"gelf+udp://u:{CANARY}@h", "gelf+udp"),
    (f"redis://u@h/{CANARY}", "password"), (f"redis://u:{CANARY}@h?key={CANARY}", "key"), (f"ws://u:{CANARY}@h?token={CANARY}", "token"),
    (f"http://h?header={CANARY}", "NAME:VALUE"), (f"http://h?header=Host:{CANARY}", "header"),
    (f"http://h?header={CANARY}:a%0d%0ab", "header"), (f"http://:{CANARY}%20@h?auth=splunk", "token"),
    ("http://", "host"), ("", ""),
])
def test_check_says_what_is_wrong(url, reason):
    done = run("--check", url)
    assert done.returncode == 2 and done.stdout == ""
    assert reason in done.stderr
    assert CANARY not in done.stderr


def test_check_reads_standard_input():
    done = subprocess.run([BIN, "--check", "-"], input=f"http://u:{CANARY}@logs.example.com\n", text=True,
                          capture_output=True, timeout=120, check=False)
    assert done.returncode == 0
    assert "logs.example.com" in done.stdout
    assert CANARY not in done.stdout + done.stderr


# --- running ---------------------------------------------------------------------------------------------------------

@pytest.fixture
def logs(tmp_path):
    path = tmp_path / "containers"
    path.mkdir()
    return {"KUBERNETES_LOG_PATH": str(path)}


def test_pages(logs):
    with Daemon(drains=[("*", "null://")], env=logs | {"WORKERS": "3"}) as d:
        assert d.get("/healthz") == (200, "ok\n")
        status, text = d.get("/readyz")
        assert status == 200 and text.startswith("ready\n")
        assert d.get("/")[0] == 200
        assert d.get("/nothing")[0] == 404
        assert d.ask("/drains") == (200, "[]\n")
        m = d.metrics()
        assert m.get("logtrain_workers") == 3
        assert m.get("logtrain_routes") == 1
        assert m.get("logtrain_scrape_incomplete") == 0
        assert m.get("logtrain_memory_bound_bytes") > 16 << 20
        assert m.get("process_open_fds") < 100
        assert m.get("process_threads") >= 4
        assert {n for n, t in m.types.items() if t == "counter"} == {n for n in m.types if n.endswith("_total")}


def test_ready_line_has_the_figures(logs):
    with Daemon(drains=[("*", "null://"), ("a.b", "null://?format=json")], env=logs) as d:
        (line,) = d.log_lines(r" info ready ")
        found = dict(re.findall(r"(\w+)=(\S+)", line))
        assert found["routes"] == "2" and found["streams"] == "0" and found["workers"] == "1"
        assert int(found["http_port"]) == d.port
        assert int(found["memory_bound"]) == d.metric("logtrain_memory_bound_bytes")


def test_lines_show_in_metrics(logs, tmp_path):
    with Daemon(drains=[("*", "null://")], env=logs) as d:
        (tmp_path / "containers" / "app.log").write_text("one\ntwo\n")
        wait_for(lambda: d.metric("logtrain_packets_sent_total") == 2, 10, "two lines delivered")
        (drain,) = d.drains()
        assert drain["state"] == "open" and drain["counters"]["records_out"] == 2
        assert drain["streams"] == 1 and drain["lag_bytes"] == 0
        m = d.metrics()
        assert m.get("logtrain_streams") == 1 and m.get("logtrain_unrouted_streams") == 0
        assert m.get("logtrain_drain_state", drain=drain["name"], state="open") == 1


def test_credentials_show_nowhere(logs, tmp_path):
    """X05 for the command line."""
    with Daemon(start=False, env=logs | {"LOG_LEVEL": "debug", "LOGTRAIN_TRACE": "drain,route"}) as d:
        one, two = d.secret(), d.secret()
        d.drain_args = [("*", f"http://u:{one}@127.0.0.1:1/?token={two}")]
        d.start()
        (tmp_path / "containers" / "app.log").write_text("one\n")
        wait_for(lambda: d.metric("logtrain_drain_retries_total"), 10, "a failed connect")
        (drain,) = d.drains()
        assert drain["last_error"]
        d.check_canaries()


def test_hup_reads_the_routes_again(logs):
    with Daemon(routes=[("a.b", "null://")], env=logs) as d:
        assert d.metric("logtrain_routes") == 1
        d.set_routes([("a.b", "null://"), ("c.d", "null://?format=json")])
        d.hup()
        wait_for(lambda: d.metric("logtrain_routes") == 2, 10, "the second route")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_stop_cleanly(logs, number):
    with Daemon(drains=[("*", "null://")], env=logs | {"WORKERS": "4"}) as d:
        d.signal(number)
        assert d.wait_exit(60) == 0
        assert d.log_lines(r" info stopped")


def test_second_signal_stops_at_once(logs, tmp_path):
    """With a peer that accepts and never reads, a stop takes its whole grace; a second signal ends it at once."""
    with socket.create_server(("127.0.0.1", 0)) as peer:
        url = f"http://127.0.0.1:{peer.getsockname()[1]}/"
        with Daemon(drains=[("*", url)], env=logs | {"STOP_GRACE": "60"}) as d:
            (tmp_path / "containers" / "app.log").write_text("one\n")
            conn, _ = peer.accept()
            with conn:
                d.signal(signal.SIGTERM)
                wait_for(lambda: d.get("/readyz") == (503, "not ready: stopping\n"), 10, "stopping")
                assert d.get("/metrics")[0] == 503
                d.signal(signal.SIGTERM)
                assert d.wait_exit(50) == 1


def test_dead_drain_does_not_delay_a_stop(logs, tmp_path):
    """S11: lines that cannot be delivered do not delay the stop beyond the grace."""
    with Daemon(drains=[("*", "syslog+tcp://127.0.0.1:1")], env=logs | {"STOP_GRACE": "2"}) as d:
        (tmp_path / "containers" / "app.log").write_text("one\n")
        wait_for(lambda: d.metric("logtrain_drain_connect_errors_total"), 10, "a failed connect")
        d.signal(signal.SIGTERM)
        assert d.wait_exit(40) == 0


def test_the_process_is_hardened(logs):
    """No core file, no new privileges, no ptrace by others. SIGPIPE is ignored and the descriptor limit is raised."""
    with Daemon(drains=[("*", "null://")], env=logs) as d:
        status = dict(re.findall(r"^(\w+):\s+(.*)$", d._proc("status").read_text(), re.MULTILINE))
        assert status["NoNewPrivs"] == "1"
        assert int(status["SigIgn"], 16) & 1 << (signal.SIGPIPE - 1)
        limits = d._proc("limits").read_text()
        assert re.search(r"Max core file size +0 +0 ", limits)
        soft, hard = re.search(r"Max open files +(\d+) +(\d+)", limits).groups()
        assert int(soft) >= min(int(hard), 65536)


def test_port_file_that_cannot_be_written(tmp_path):
    done = run("--drain", "a=null://", env={"HTTP_PORT": "0", "HTTP_PORT_FILE": str(tmp_path / "no" / "port"),
                                            "KUBERNETES_LOG_PATH": str(tmp_path)})
    assert done.returncode == 1
    assert "HTTP_PORT_FILE" in done.stderr


def test_drains_page_is_json_when_drains_fail(logs, tmp_path):
    with Daemon(drains=[("*", "http://127.0.0.1:1/")], env=logs) as d:
        (tmp_path / "containers" / "app.log").write_text("one\n")
        wait_for(lambda: d.metric("logtrain_drain_state", state="waiting"), 10, "the drain waits")
        (drain,) = json.loads(d.ask("/drains")[1])
        assert drain["lag_bytes"] == os.stat(tmp_path / "containers" / "app.log").st_size
        assert drain["retry_in_seconds"] >= 0

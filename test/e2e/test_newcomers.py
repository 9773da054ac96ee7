"""Thirty mistakes of new users: what they typed, the exit status, and the words that must be in the message. 2 is a configuration that can
never work, 1 is something that happened. Then what is no mistake though it looks like one, and what pages say to who asks."""

import http.client
import re
import subprocess

import pytest
from lib.daemon import BIN, ROOT, SANITIZER_ENV, SLOW, run
from lib.wait import wait_for

SECRET = "cnry5ecret"
A = ("--drain", "web=null://")
POSTGRES = {"POSTGRES": "true", "KUBERNETES": "false", "SYSLOG_TCP": "true", "SYSLOG_TCP_PORT": "0"}
MISTAKES = [
    # the command line
    ((), {}, 2, "--drain"),
    (("--drian", "a=null://"), {}, 2, "unknown flag --drian.*--help"),
    (("--drain",), {}, 2, "--drain: needs HOSTNAME=URL"),
    (("--drain", "null://"), {}, 2, "HOSTNAME=URL"),
    (("start",), {}, 2, "unexpected argument.*--help"),
    (("--help=all",), {}, 2, "--help: takes no value"),
    (("explain", "shop/web/app"), {}, 2, "is not NAMESPACE/POD"),
    (("state", "list"), {}, 2, "usage: logtrain state ls"),
    (("--routes", "/none/routes", *A), {}, 1, "/none/routes.*No such file"),
    (("--routes", "/", *A), {}, 2, "not a regular file"),
    # a drain's URL
    (("--check", "logs.example:514"), {}, 2, "scheme://"),
    (("--check", "tcp://logs.example:514"), {}, 2, "tcp"),
    (("--check", f"https://user:{SECRET}#1@logs.example/"), {}, 2, "password.*'#' is %23"),
    (("--check", f"https://user:{SECRET}/1@logs.example/"), {}, 2, "password.*'/' is written %2F"),
    (("--check", f"https://user:{SECRET}@1@logs.example/"), {}, 2, "'@'.*%40"),
    (("--check", "https://logs.example:https/"), {}, 2, "port must be a number"),
    (("--check", "https://logs.example/?batch=yes"), {}, 2, "'batch' must be record, ndjson or array"),
    (("--drain", f"web=http://u:{SECRET}@h:99999"), {}, 2, "--drain 'web'.*port"),
    # variables
    (A, {"LOG_LEVEL": "verbose"}, 2, "LOG_LEVEL: 'verbose' is not one of error,warn,info,debug"),
    (A, {"MAX_LINE": "1 MB"}, 2, "MAX_LINE: '1 MB' is not a size"),
    (A, {"STOP_GRACE": "ten"}, 2, "STOP_GRACE: 'ten' is not a duration"),
    (A, {"SYSLOG_TCP": "yes"}, 2, "SYSLOG_TCP: 'yes' is not.*true"),
    (A, {"HTTP_PORT": "http"}, 2, "HTTP_PORT: 'http' is not a number"),
    (A, {"EXCLUDE_NAMESPACE": "kube-system"}, 2, "EXCLUDE_NAMESPACES"),
    (A, {"EGRESS_DENY": "intranet"}, 2, "EGRESS_DENY.*intranet"),
    (A, {"KUBERNETES": "false"}, 2, "no input: set KUBERNETES=true"),
    (A, {"SYSLOG_TLS": "true", "SYSLOG_TLS_PORT": "0"}, 2, "SYSLOG_TLS: certificate and private key"),
    (A, {"HTTP_EVENTS": "true", "HTTP_TOKEN_FILE": "/none/token"}, 1, "/none/token.*No such file"),
    # Postgres
    ((), {**POSTGRES, "DATABASE_URL": f"mysql://u:{SECRET}@h/db"}, 2, "DATABASE_URL: does not begin with postgres://"),
    ((), {**POSTGRES, "DATABASE_URL": "logtrain"}, 2, "neither a postgres:// URL nor words"),
    ((), {**POSTGRES, "DATABASE_URL": f"host=h password={SECRET} 1 user=u"}, 2, "a value with a space or quote is written in ''"),
    ((), {**POSTGRES, "DATABASE_URL": f"postgres://u:{SECRET}/x@h/db"}, 2, "in a password, '/' is %2F"),
]


@pytest.mark.parametrize("args, env, status, words", MISTAKES, ids=[" ".join([*m[0], *m[1]])[:40] or "nothing" for m in MISTAKES])
def test_a_mistake_is_named(args, env, status, words, tmp_path):
    done = run(*args, env={"HTTP_PORT": "0", "KUBERNETES_LOG_PATH": str(tmp_path), **env})
    assert done.returncode == status, done
    assert re.search(words, done.stderr), done.stderr
    assert done.stdout == "" and SECRET not in done.stderr


def test_there_are_thirty():
    assert len(MISTAKES) >= 30


@pytest.mark.parametrize("args", [("-h",), ("help",), ("-help",), ("--help",)])
def test_help_however_it_is_asked_for(args):
    done = run(*args)
    assert done.returncode == 0 and "Exit status" in done.stdout


@pytest.mark.parametrize("args", [("-v",), ("version",), ("-version",), ("--version",)])
def test_version_however_it_is_asked_for(args):
    done = run(*args)
    assert done.returncode == 0 and re.fullmatch(r"logtrain \d+\.\d+\.\d+\S*\n", done.stdout)


@pytest.mark.parametrize("env", [{"LOG_LEVEL": "INFO"}, {"LOG_LEVEL": "warning"}, {"LOG_LEVEL": "Warn"}, {"HTTP_EVENTS": "TRUE"}, {"READ_FROM": "Start"},
                                 {"LOG_LEVEL": ""}, {"WORKERS": ""}, {"SYSLOG_TCP": ""}, {"MAX_LINE": ""}, {"STOP_GRACE": ""}],
                         ids=lambda e: "=".join(*e.items()))
def test_a_value_that_may_be_written_so(env, tmp_path):
    """In any case; empty is the same as left out. What is refused is what comes after the variables."""
    done = run("--drain", "a=http://h:99999", env={"HTTP_PORT": "0", "KUBERNETES_LOG_PATH": str(tmp_path), **env})
    assert done.returncode == 2 and "port" in done.stderr and not any(name in done.stderr for name in env), done


def test_the_quick_start_works_when_it_is_pasted_whole(tmp_path):
    block = (ROOT / "README.md").read_text().split("## Quick start\n\n```sh\n")[1].split("```")[0]
    first, rest = block.split("\n", 1)
    assert first == "./scripts/bootstrap && ./scripts/build release logtrain"
    script = rest.replace("build/release/logtrain", str(BIN)).replace("/tmp/log", f"{tmp_path}/log")
    done = subprocess.run(["bash", "-m", "-c", script], env={"PATH": "/usr/bin:/bin", "HTTP_PORT": "0", **SANITIZER_ENV}, text=True,
                          capture_output=True, timeout=120 * SLOW, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done
    for words in ("hello, logtrain\n", "and on it goes\n", '"name":"stdout://', "syslog+tls"):
        assert words in done.stdout, done


def test_one_dash_will_do(daemon, node, tmp_path):
    done = run("-drain", f"a=http://u:{SECRET}@h:99999", env={"HTTP_PORT": "0", "KUBERNETES_LOG_PATH": str(tmp_path)})
    assert done.returncode == 2 and "--drain 'a'" in done.stderr and SECRET not in done.stderr


def test_a_log_path_that_is_not_there_shows(daemon, tmp_path):
    path = tmp_path / "logs"
    d = daemon(drains=[("*", "null://")], env={"KUBERNETES": "true", "KUBERNETES_LOG_PATH": path})
    assert "degraded: KUBERNETES_LOG_PATH is not there" in d.get("/readyz")[1]
    path.mkdir()
    wait_for(lambda: "KUBERNETES_LOG_PATH" not in d.get("/readyz")[1], 60 * SLOW, "the log path to be found")


def test_a_path_that_is_closed_says_how_to_open_it(daemon, node):
    d = daemon(node, drains=[("*", "null://")])
    for path, variable in (("/events", "HTTP_EVENTS"), ("/syslog", "HTTP_SYSLOG")):
        connection = http.client.HTTPConnection("127.0.0.1", d.port, timeout=30 * SLOW)
        connection.request("POST", path, b"[]")
        answer = connection.getresponse()
        assert answer.status == 405 and f"{variable}=true opens this path" in answer.read().decode()
        connection.close()


def test_a_line_with_a_mistake_keeps_its_last_route(daemon, node, oracle, http):
    """Of a routes file that was in force: a URL, a second URL, the pattern. What is right in the line counts, too."""
    web, second = http(), http()
    d = daemon(node, routes=[("web.*", web.url("batch=ndjson")), ("*", second.url("batch=ndjson"))])
    assert d.metric("logtrain_routes") == 2

    def refused(n, *lines):
        d.routes_path.write_text("".join(f"{line}\n" for line in lines))
        wait_for(lambda: d.metric("logtrain_routes_file_refused_routes") == n, 60 * SLOW, lambda: f"{n} refused routes: {d.tail()}")
        assert f"degraded: {n} routes of the routes file are refused" in d.get("/readyz")[1]

    refused(1, "# moved", "web.* htps://typo", f"* {second.url('batch=ndjson')}")
    assert d.metric("logtrain_routes") == 2
    refused(1, "web.* gopher://x", f"* {second.url('batch=ndjson')}")
    refused(1, f"web,* {web.url('batch=ndjson')}", f"* {second.url('batch=ndjson')}")
    assert d.metric("logtrain_routes") == 2
    refused(2, "web.* gopher://x", f"* {second.url('batch=ndjson')} nonsense")
    assert d.metric("logtrain_routes") == 2
    container = node.container("web-0")
    container.write(oracle.source("web").take(20))
    oracle.wait_complete(second, 60 * SLOW, ["web"])
    refused(1, "web.* gopher://x")  # a line that is gone is gone
    assert d.metric("logtrain_routes") == 1

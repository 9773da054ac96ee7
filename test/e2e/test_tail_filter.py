"""include= and exclude= of /v1/tail, and -i and -e of `logtrain tail`: which lines are shown."""

import json
import re

import pytest

from lib.daemon import SLOW, Daemon, run
from lib.oracle import parse
from lib.tail import Tail
from lib.wait import wait_for

WAIT = 60 * SLOW
POD = "web-7d9c8b6f5d-bcdfg"


@pytest.fixture
def tail(closing):
    return lambda d, **options: closing(Tail(d, **options))


def texts(n, first=0):
    """Line 17: "n=17 level=info status=417"; each tenth is an error, each of a hundred is long."""
    return [b"n=%d level=%s status=%d%s" % (i, b"error" if i % 10 == 0 else b"info", 200 + i % 400, b" " + b"x" * 12000 if i % 100 == 99 else b"")
            for i in range(first, first + n)]


CASES = [  # include, exclude
    (["level=error"], []),
    (["level=error", r"status=5\d\d$"], []),
    ([], ["level=info"]),
    ([], [r"n=\d*[13579] ", "level=error"]),
    ([r"^n=\d+ level=(info|error) "], [r"status=2\d\d"]),
    (["(?i)LEVEL=ERROR"], ["(?<=n=)5"]),
    (["a+b"], []),
]


@pytest.mark.parametrize("include, exclude", CASES, ids=str)
def test_exactly_the_lines_that_are_asked_for(node, tail, include, exclude):
    """Of what there was, and of what comes; each once, in order."""
    c = node.container(POD, "shop")
    lines = texts(1000)
    c.write(lines[:600])
    wanted = [line for line in lines if (not include or any(re.search(e.encode(), line) for e in include)) and
              not any(re.search(e.encode(), line) for e in exclude)]
    last = b"n=1000 level=last a+b aab status=599"
    with Daemon(node, routes=True) as d:
        t = tail(d, namespace="shop", since="start", include=include + ["^n=1000 "] if include else [], exclude=exclude)
        assert t.status == 200
        c.write(lines[600:] + [last])
        t.wait(len(wanted) + 1, WAIT)
        assert t.messages() == wanted + [last]
        t.close()
        t = tail(d, namespace="shop", follow="false", include=include, exclude=exclude, format="text").wait_end(WAIT)
        assert t.whole
        assert t.lines == wanted + ([last] if not include or any(re.search(e.encode(), last) for e in include) else [])


@pytest.mark.parametrize("query, why", [
    ({"include": "a(b"}, "parameter 'include': missing closing parenthesis at byte 3\n"),
    ({"exclude": "ab[c"}, "parameter 'exclude': missing terminating ] for character class at byte 4\n"),
    ({"include": ["good", "*"]}, "parameter 'include': quantifier does not follow a repeatable item at byte 0\n"),
    ({"include": ""}, "parameter 'include': it must have 1 to 512 bytes\n"),
    ({"include": "x" * 513}, "parameter 'include': it must have 1 to 512 bytes\n"),
    ({"include": ["x"] * 9, "exclude": ["y"] * 8}, "parameter 'exclude': there are more than 16 expressions\n"),
    ({"include": "((a{1,50}){1,50}){1,50}"}, "parameter 'include': regular expression is too large at byte 23\n"),
    ({"include": ["((a{1,50}){1,50}){1,4}"] * 9}, "parameter 'include': the expressions are too large when compiled\n"),
], ids=range(8))
def test_an_expression_that_does_not_compile(node, tail, query, why):
    node.container(POD, "shop").write(b"x")
    with Daemon(node, routes=True) as d:
        t = tail(d, namespace="shop", **query)
        assert (t.status, t.text) == (400, why)


@pytest.mark.parametrize("query", [{"include": r"(a|aa)+$"}, {"exclude": [r"(a|aa)+$", r"(.*a){20}b"]}, {"include": [r"([a-z]*)*\d!"] * 16}],
                         ids=["include", "exclude", "many"])
def test_an_expression_without_an_end(node, oracle, syslog_tcp, tail, query):
    """One that would be busy for years with each line: what it cannot decide is shown, and a drain beside it has all."""
    peer = syslog_tcp()
    c = node.container(POD, "shop")
    source = oracle.source("web", 300)
    with Daemon(node, drains=[("*", peer.url())], env={"WORKERS": "1"}) as d:
        tails = [tail(d, namespace="shop", since="start", **query) for _ in range(4)]
        c.write([line + b" " + b"a" * 1000 + b"!" for line in source.take(3000)])
        for t in tails:
            t.wait(3000, WAIT)
            assert [parse(m)[1] for m in t.messages()] == list(range(3000))
            t.close()
        wait_for(lambda: {int(m[1]) for text in peer.messages() if (m := re.search(rb"lt web (\d+) ", text))} == set(range(3000)), WAIT,
                 "all lines at the drain")


def test_the_command_line(node):
    node.container(POD, "shop").write(texts(100))
    with Daemon(node, routes=True) as d:
        def ask(*args):
            return run("tail", "web", "--no-follow", *args, env={"STATE_PATH": d.env["STATE_PATH"]})
        done = ask("-o", "raw", "-i", "level=error", "-i", r"status=21\d$", "-e", "n=1 ", "--exclude", r"^n=2\d ")
        assert done.returncode == 0, done.stderr
        numbers = [int(line.split()[0][2:]) for line in done.stdout.splitlines()]
        assert numbers == [0, *range(10, 20), *range(30, 100, 10)]
        assert [json.loads(line)["message"] for line in ask("-o", "json", "--include", "n=5 ").stdout.splitlines()] == [
            "n=5 level=info status=205"]
        wrong = ask("-i", "a(b")
        assert wrong.returncode == 2 and "'include': missing closing parenthesis at byte 3" in wrong.stderr

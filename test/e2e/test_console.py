"""`logtrain tail` and `logtrain top`, which ask the daemon over its Unix socket."""

import json
import os
import pty
import signal
import subprocess

import pytest

from lib.daemon import BIN, SLOW, Daemon, run
from lib.wait import wait_for

WAIT = 60 * SLOW
POD = "web-7d9c8b6f5d-bcdfg"


def ask(d, *args, **env):
    return run(*args, env={"STATE_PATH": d.env["STATE_PATH"], **env})


def test_what_there_is_of_a_workload(node, oracle):
    """By the name of its workload, its pod, or its hostname; each output form has each line once."""
    c = node.container(POD, "shop")
    node.container("api-0", "shop").write(b"not wanted")
    source = oracle.source("web")
    c.write(source.take(3000))
    with Daemon(node, routes=True) as d:
        for name in ("web", POD, "web.shop"):
            done = ask(d, "tail", name, "--no-follow", "-o", "raw")
            assert done.returncode == 0, done.stderr
            oracle.check([line.encode() for line in done.stdout.splitlines()], ["web"]).assert_exact()
        done = ask(d, "tail", "-n", "shop", "web", "--no-follow", "-o", "json")
        oracle.check([json.loads(line)["message"].encode() for line in done.stdout.splitlines()], ["web"]).assert_exact()
        done = ask(d, "tail", "-n", "shop", "web", "--no-follow")
        assert all(line.startswith(f"{POD} main lt web ") for line in done.stdout.splitlines())
        oracle.check([line.encode() for line in done.stdout.splitlines()], ["web"]).assert_exact()


def test_it_follows_until_it_is_told_to_end(node, oracle):
    c = node.container(POD, "shop")
    source = oracle.source("web")
    c.write(source.take(5))
    with Daemon(node, routes=True) as d:
        shown = d.tmp / "shown"
        with open(shown, "wb") as out:
            p = subprocess.Popen([str(BIN), "tail", "web", "--since", "start"], stdout=out,
                                 env={"STATE_PATH": d.env["STATE_PATH"]},
                                 preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # nohup's child ignores it
        try:
            wait_for(lambda: shown.read_bytes().count(b"\n") == 5, WAIT, "what there was")
            c.write(source.take(500))
            wait_for(lambda: shown.read_bytes().count(b"\n") == 505, WAIT, "what came")
            oracle.check(shown.read_bytes().splitlines(), ["web"]).assert_exact()
            p.send_signal(signal.SIGINT)
            assert p.wait(WAIT) == -signal.SIGINT
        finally:
            p.kill()


def test_exit_codes(node):
    node.container(POD, "shop").write(b"x")
    with Daemon(node, routes=True) as d:
        assert (nothing := ask(d, "tail", "none", "--no-follow")).returncode == 3 and "no log" in nothing.stderr
        assert (wrong := ask(d, "tail", "--since", "long")).returncode == 2 and "'since'" in wrong.stderr
        assert (wrong := ask(d, "tail", "--frobnicate")).returncode == 2 and "--frobnicate" in wrong.stderr
        assert ask(d, "tail", "-o", "xml").returncode == 2
        assert ask(d, "top", "--interval", "0").returncode == 2
    gone = run("tail")
    assert gone.returncode == 1 and "no daemon with that STATE_PATH answers" in gone.stderr


@pytest.mark.parametrize("command", ["tail", "top"])
def test_help(command):
    done = run(command, "--help")
    assert done.returncode == 0 and done.stdout.startswith(f"logtrain {command} ") and "Exit status" in done.stdout


def test_top_shows_the_worst_first(node, syslog_tcp):
    good, bad = syslog_tcp(), syslog_tcp()
    bad.refuse()
    c = node.container(POD, "shop")
    c.write([b"x" * 100] * 100)
    with Daemon(node, drains=[("*", good.url()), ("*", bad.url())]) as d:
        wait_for(lambda: d.drain(bad.port)["last_error"], WAIT, "the bad one fails")

        def shown():
            lines = ask(d, "top", "--once").stdout.splitlines()
            return len(lines) == 3 and f":{bad.port}#" in lines[1] and f":{good.port}#" in lines[2]
        wait_for(shown, WAIT, lambda: ask(d, "top", "--once").stdout)


def in_a_terminal(d, *args, **env):
    """What <args> print there."""
    main, other = pty.openpty()
    p = subprocess.Popen([str(BIN), *args], stdout=other, env={"STATE_PATH": d.env["STATE_PATH"], **env})
    os.close(other)
    out = b""
    try:
        while piece := os.read(main, 65536):
            out += piece
    except OSError:  # the other end is closed
        pass
    os.close(main)
    assert p.wait(WAIT) == 0
    return out


def test_a_log_does_not_command_the_terminal(node):
    """Colours pass; what would move the cursor or set the title does not, and NO_COLOR is honoured."""
    c = node.container(POD, "shop")
    c.write([b"\x1b]0;title\x07 \x1b[2J \xc2\x9b2J \x1b[31mred\x1b[0m"])
    with Daemon(node, routes=True) as d:
        text = in_a_terminal(d, "tail", "--no-follow", NO_COLOR="1")
        assert text == f"{POD} main ".encode() + b"?]0;title? ?[2J ?2J \x1b[31mred\x1b[0m\r\n"
        text = in_a_terminal(d, "tail", "--no-follow")
        assert text.startswith(b"\x1b[38;5;") and text.endswith(b"\x1b[0m\r\n")
        assert b"\x1b]0;" in ask(d, "tail", "--no-follow", "-o", "raw").stdout.encode()  # a file gets the bytes

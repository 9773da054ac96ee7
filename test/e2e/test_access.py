"""Who sees what over HTTP_PORT and over the Unix socket in STATE_PATH. Without credentials nobody sees data about a tenant, and
nobody can use the pages to learn the result of connections that he made logtrain try."""

import json
import os
import re
import shutil
import socket
import stat
import subprocess
import urllib.request
from pathlib import Path

import pytest
from lib.daemon import SLOW, Daemon, Metrics, limits, run
from lib.ports import free_port
from lib.preload import Clock
from lib.wait import wait_for

WAIT = 30 * SLOW
PRIVATE = ("/drains", "/explain?pod=shop/web-7d9c8b6f5d-bcdfg", "/explain?pod=shop/nobody", "/explain", "/drains?x=1")


def get(d, path, token=None, **headers):
    """(status, headers, text) over HTTP_PORT."""
    request = urllib.request.Request(f"http://127.0.0.1:{d.port}{path}", headers=headers)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=WAIT) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.headers, e.read().decode()


def sock(d):
    return Path(d.env["STATE_PATH"]) / "api.sock"


def asked(d):
    """The answer over the Unix socket; None when nothing listens there."""
    if not sock(d).exists():
        return None
    done = run("drains", env={"STATE_PATH": d.env["STATE_PATH"]})
    return json.loads(done.stdout) if done.returncode == 0 else None


# --- pages without credentials -----------------------------------------------------------------------------------------------

@pytest.fixture
def tenant(node, api, kube, oracle, http):
    """A workload with four drains: one that answers, one that refuses, one that the policy forbids, one without an address."""
    def start(**options):
        web = http()
        port = free_port()
        c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
        api.workload(c, "web", drains=f"http://127.0.0.1:{web.port}/in; syslog+tcp://127.0.0.1:{port}; "
                                      "syslog+tcp://10.77.0.9:514; syslog+tcp://nosuch.invalid:514")
        c.write(oracle.source("web").take(20))
        d = kube(routes=[("operators.*", "null://")], **options)
        oracle.wait_complete(web, WAIT).assert_exact()
        d.wait_error(port, "refused")
        d.wait_counter(web.port, "records_out", 20)
        return d, [str(web.port), str(port), "10.77.0.9", "nosuch.invalid", "127.0.0.1", "onnection refused", "not allowed", "shop"]
    return start


def test_T06_without_credentials_nothing_of_a_tenant_is_seen(tenant):
    d, theirs = tenant(env={"EGRESS_ALLOW": "127.0.0.0/8", "EGRESS_DENY": "10.77.0.0/16"})
    answers = {get(d, path)[2] for path in PRIVATE}
    assert {get(d, path)[0] for path in PRIVATE} == {403} and len(answers) == 1, "an answer differs"
    assert {get(d, path, "guess")[0] for path in PRIVATE} == {403}
    pages = {path: get(d, path) for path in ("/", "/metrics", "/healthz", "/readyz")}
    assert all(status == 200 for status, _, _ in pages.values())
    for path, (_, _, text) in pages.items():
        for word in theirs:
            assert word not in text, f"{path} shows {word}"
    public, all_of_it = Metrics(pages["/metrics"][2]), d.metrics()
    drains = {labels["drain"] for _, labels, _ in public.samples if "drain" in labels}
    assert drains <= {"owners"} | {r["name"] for r in d.drains() if r["name"].startswith("null:")}
    shown = {name for name, labels, _ in public.samples if labels.get("drain") == "owners"}
    for name in ("connects_total", "connect_errors_total", "disconnects_total", "retries_total", "retry_in_seconds", "state"):
        assert f"logtrain_drain_{name}" not in shown, f"{name} tells how an address answers"
    for name in ("connects_total", "state"):
        assert all_of_it.get(f"logtrain_drain_{name}", drain=re.compile("http:"))
    assert public.get("logtrain_packets_sent_total", drain="owners") == 20
    assert public.get("logtrain_drain_streams", drain="owners") == all_of_it.get("logtrain_drain_streams")


def test_T06_the_socket_and_its_commands_show_all(tenant):
    d, _ = tenant()
    assert stat.S_IMODE(sock(d).stat().st_mode) == 0o600
    for r in asked(d):
        assert {"name", "state", "last_error", "counters"} <= set(r)
    assert any("refused" in (r["last_error"] or "") for r in asked(d))
    done = run("explain", "shop/web-7d9c8b6f5d-bcdfg", env={"STATE_PATH": d.env["STATE_PATH"]})
    assert done.returncode == 0 and "annotation of Deployment web" in done.stdout
    curl = subprocess.run(["curl", "-sS", "--unix-socket", sock(d), "http://localhost/drains"], capture_output=True, check=True)
    assert {r["name"] for r in json.loads(curl.stdout)} == {r["name"] for r in asked(d)}
    assert d.ask("/healthz") == (200, "ok\n") and d.ask("/events")[0] == 404


# --- the socket's file -----------------------------------------------------------------------------------------------------

def plain(daemon, **env):
    return daemon(routes=[("*", "null://")], env={"KUBERNETES": "false", "HTTP_EVENTS": "true", **env})


def test_T06_a_stale_socket_is_replaced_and_ours_is_removed(daemon, tmp_path):
    state = tmp_path / "state"
    d = plain(daemon, STATE_PATH=state)
    d.kill()
    assert sock(d).is_socket() and asked(d) is None
    again = plain(daemon, STATE_PATH=state)
    assert asked(again) == []
    again.stop()
    assert not sock(again).exists()
    sock(again).write_text("what somebody left")
    assert asked(plain(daemon, STATE_PATH=state)) == []


def test_T06_a_second_daemon_leaves_the_first_ones_socket(daemon, tmp_path):
    d = plain(daemon)
    inode = sock(d).stat().st_ino
    second = Daemon(env={**d.env, "HTTP_PORT_FILE": tmp_path / "second"}, routes=[("*", "null://")], tmp=tmp_path, start=False)
    second.start(wait=False)
    assert second.wait_exit(20 * SLOW) == 1
    assert sock(d).stat().st_ino == inode and asked(d) == []


@pytest.mark.parametrize("length", [90, 107, 108, 109, 400, 3000])
def test_T06_a_state_path_of_any_length(daemon, tmp_path, length):
    state = str(tmp_path)
    while len(state) < length:
        state += "/" + "d" * min(200, max(1, length - len(state) - 1))
    d = plain(daemon, STATE_PATH=state)
    assert asked(d) == []


def test_T06_the_socket_follows_its_directory(daemon, tmp_path):
    """The socket's file is removed, its directory is removed or renamed, or does not exist yet: the socket comes back in
    STATE_PATH."""
    (tmp_path / "file").write_text("not a directory")
    state = tmp_path / "file" / "state"
    d = plain(daemon, STATE_PATH=state)
    assert asked(d) is None and d.get("/readyz")[0] == 200
    (tmp_path / "file").unlink()
    state.mkdir(parents=True)
    wait_for(lambda: asked(d) == [], WAIT, "the socket, once there is a directory")
    sock(d).unlink()
    wait_for(lambda: asked(d) == [], WAIT, "the socket, after it was removed")
    d.pause()
    shutil.rmtree(state)
    state.mkdir()
    d.resume()
    wait_for(lambda: asked(d) == [], WAIT, "the socket, after its directory was made anew")
    d.pause()
    state.rename(tmp_path / "elsewhere")
    state.mkdir()
    d.resume()
    wait_for(lambda: asked(d) == [], WAIT, "the socket, after its directory was moved away")
    assert stat.S_IMODE(sock(d).stat().st_mode) == 0o600
    fds = len(d.fds())
    for _ in range(3):
        sock(d).unlink()
        wait_for(lambda: asked(d) == [], WAIT, "the socket")
    wait_for(lambda: len(d.fds()) <= fds, WAIT, "no descriptor to be left")


@pytest.fixture
def disk(tmp_path):
    """A file system of its own; remount("ro") and remount("rw") change it."""
    path = tmp_path / "disk"
    path.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "logtrain-test", path], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"T06 IS NOT TESTED: no tmpfs can be mounted here, which takes root: {made.stderr.strip()}")
    yield path, lambda how: subprocess.run(["mount", "-o", f"remount,{how}", path], check=True)
    subprocess.run(["umount", "--lazy", path], check=True)


def test_T06_a_state_path_that_is_read_only(node, oracle, daemon, http, disk):
    """Nothing can be written there, so there is no socket. This is logged with the reason, delivery goes on, and the socket is
    created as soon as that is possible."""
    (state, remount), web = disk, http()
    remount("ro")
    d = daemon(node, routes=[("*", web.url("batch=ndjson"))], env={"STATE_PATH": state, "HTTP_ADMIN_TOKEN_FILE": token_file(state.parent, "adm1n")})
    node.container("web-0").write(oracle.source("a").take(100))
    oracle.wait_complete(web, WAIT).assert_exact()
    (line,) = wait_for(lambda: d.log_lines("cannot listen on the API socket, will retry"), WAIT, "it to be said")
    assert f"path={state}" in line and "Read-only file system" in line
    assert d.log_lines("cannot (keep|write) state.*Read-only file system")
    status, _, text = get(d, "/readyz")
    assert status == 200 and "degraded: not durable" in text
    assert get(d, "/drains", "adm1n")[0] == 200
    done = run("drains", env={"STATE_PATH": str(state)})
    assert done.returncode == 1 and "api.sock" in done.stderr, done.stderr
    remount("rw")
    wait_for(lambda: asked(d), WAIT, "the socket")


def test_T06_without_a_state_there_is_no_socket(daemon):
    d = plain(daemon, STATE_PATH="")
    assert d.get("/readyz")[0] == 200 and d.get("/drains")[0] == 403


# --- with credentials ------------------------------------------------------------------------------------------------------

def test_T06_the_operators_token(tenant, tmp_path):
    (tmp_path / "token").write_text("op3rat0rs-t0ken\n")
    d, theirs = tenant(env={"HTTP_TOKEN_FILE": tmp_path / "token"})
    for token in (None, "wrong", "op3rat0rs-t0ke", "op3rat0rs-t0kenn"):
        answers = [get(d, path, token) for path in PRIVATE]
        assert {s for s, _, _ in answers} == {401} and len({t for _, _, t in answers}) == 1
        assert answers[0][1]["www-authenticate"] == "Bearer"
    assert get(d, "/metrics", "wrong")[0] == 401 and get(d, "/metrics")[0] == 200
    assert theirs[0] not in get(d, "/metrics")[2]
    assert theirs[0] in get(d, "/metrics", "op3rat0rs-t0ken")[2]
    assert {r["name"] for r in json.loads(get(d, "/drains", "op3rat0rs-t0ken")[2])} == {r["name"] for r in asked(d)}
    assert get(d, "/explain?pod=shop/web-7d9c8b6f5d-bcdfg", "op3rat0rs-t0ken")[0] == 200
    assert get(d, "/healthz")[0] == 200
    assert "op3rat0rs" not in d.log()


def token_file(tmp_path, token):
    path = tmp_path / f"token-{token}"
    path.write_text(token + "\n")
    return path


@pytest.mark.parametrize("on", [{"HTTP_EVENTS": "true"}, {"HTTP_SYSLOG": "true"}])
@pytest.mark.parametrize("admin", [True, False])
def test_T06_a_senders_token_opens_nothing(tenant, tmp_path, on, admin):
    """A sender's token does not show other tenants' drains, and an admin token does not permit sending."""
    env = {**on, "HTTP_TOKEN_FILE": token_file(tmp_path, "s3nder")}
    if admin:
        env["HTTP_ADMIN_TOKEN_FILE"] = token_file(tmp_path, "adm1n")
    d, theirs = tenant(env=env)
    for path in PRIVATE:
        assert get(d, path, "s3nder")[0] == (401 if admin else 403)
    assert not any(word in get(d, "/metrics", "s3nder")[2] for word in theirs)
    path = "/events" if "HTTP_EVENTS" in on else "/syslog"

    def send(token):
        return subprocess.run(["curl", "-sS", "-m", "60", "-o", tmp_path / "answer", "-w", "%{http_code}", "-H", f"Authorization: Bearer {token}",
                               "-d", "[]" if path == "/events" else "", f"http://127.0.0.1:{d.port}{path}"],
                              capture_output=True, text=True, check=True).stdout
    assert send("wrong") == "401" and send("s3nder") != "401" and send("adm1n") == "401"
    if admin:
        assert {r["name"] for r in json.loads(get(d, "/drains", "adm1n")[2])} == {r["name"] for r in asked(d)}
        assert get(d, "/explain?pod=shop/web-7d9c8b6f5d-bcdfg", "adm1n")[0] == 200


def test_T06_access_fails_closed(daemon, tmp_path):
    for env, why in (({"HTTP_TOKEN_FILE": tmp_path / "none"}, "HTTP_TOKEN_FILE: cannot read"),
                     ({"HTTP_ADMIN_TOKEN_FILE": tmp_path / "none"}, "HTTP_ADMIN_TOKEN_FILE: cannot read"),
                     ({"HTTP_ADMIN_TOKEN_FILE": tmp_path}, "HTTP_ADMIN_TOKEN_FILE"),
                     ({"HTTP_KUBERNETES_AUTH": "true"}, "HTTP_KUBERNETES_AUTH: the Kubernetes API is not used"),
                     ({"HTTP_KUBERNETES_AUTH": "yes"}, "HTTP_KUBERNETES_AUTH")):
        done = run("--drain", "*=null://", env={"KUBERNETES": "false", "HTTP_EVENTS": "true", "HTTP_PORT": "0", **{k: str(v) for k, v in env.items()}})
        assert done.returncode in (1, 2) and why in done.stderr, done.stderr


def test_T06_tokens_of_kubernetes(tenant, api, tmp_path):
    """The API decides whose token it is and whether he may read the logs of all pods. The answer is cached for 30 s."""
    clock = Clock(tmp_path)
    d, theirs = tenant(env={"HTTP_KUBERNETES_AUTH": "true", **clock.env})
    user = {"username": "ann", "uid": "u-1", "groups": ["ops", 'a"b'], "extra": {"scopes.example/x": ["user:info"]}}
    api.users |= {"anns.token": user, "bobs.token": {"username": "bob", "groups": []}}
    api.readers |= {("ann", ""), ("bob", "shop")}
    for _ in range(3):
        assert get(d, "/drains", "anns.token")[0] == 200
        assert get(d, "/drains", "bobs.token")[::2] == (403, "the token's user may not see this\n")
        assert get(d, "/drains", "nobodys.token")[0] == 401
    assert theirs[0] in get(d, "/metrics", "anns.token")[2]
    assert [r["kind"] for r in api.reviews] == ["TokenReview", "SubjectAccessReview"] * 2 + ["TokenReview"]
    assert api.reviews[1]["spec"] == {"user": "ann", "uid": "u-1", "groups": ["ops", 'a"b'],
                                      "extra": {"scopes.example/x": ["user:info"]},
                                      "resourceAttributes": {"namespace": "", "verb": "get", "resource": "pods",
                                                             "subresource": "log"}}
    for path in PRIVATE:
        assert get(d, path)[0] == 401 and get(d, path, 'x","a":"b')[0] == 401
    assert len(api.reviews) == 5
    api.readers.clear()
    assert get(d, "/drains", "anns.token")[0] == 200, "kept for 30 s"
    clock.step(mono=limits()["ACCESS_CACHE_MS"] / 1000 + 1)
    wait_for(lambda: d.metrics() and get(d, "/drains", "anns.token")[0] == 403, WAIT, "what was kept to be forgotten")
    assert "anns.token" not in d.log() + d.ask("/metrics")[1]


def test_T06_a_token_for_one_namespace(tenant, node, api, oracle, http):
    """Who may read the logs of one namespace sees the drains that its workloads asked for and their positions. He sees neither
    how a peer answers, nor other namespaces, nor the operator's drains."""
    operator, bank = http(), http()
    c = node.container("till-7d9c8b6f5d-bcdfg", "bank")
    api.workload(c, "till", drains=f"http://127.0.0.1:{bank.port}/till")
    d, _ = tenant(env={"HTTP_KUBERNETES_AUTH": "true", "EGRESS_ALLOW": "127.0.0.0/8", "EGRESS_DENY": "10.77.0.0/16"},
                  args=["--drain", f"*.shop={operator.url('batch=ndjson')}"])
    c.write(oracle.source("till").take(5))
    oracle.wait_complete(bank, WAIT, ["till"])
    api.users |= {"bobs.token": {"username": "bob"}, "anns.token": {"username": "ann"}}
    api.readers |= {("bob", "shop"), ("ann", ""), ("ann", "shop")}
    def failing():
        return get(d, "/drains?namespace=shop", "bobs.token")[2].count('"failing"')
    wait_for(lambda: failing() >= 2, WAIT, "two of them to fail")
    status, _, text = get(d, "/drains?namespace=shop", "bobs.token")
    mine = json.loads(text)
    assert status == 200 and len(mine) == 4
    for word in (str(operator.port), str(bank.port), "refused", "not allowed", "error", "retr"):
        assert word not in text, word
    assert not any({"connects", "disconnects", "rejected", "batches", "wire_bytes"} & set(r["counters"]) for r in mine)
    assert sorted(r["state"] for r in mine).count("failing") >= 2 and {r["state"] for r in mine} <= {"open", "idle", "failing"}
    assert max(r["counters"]["records_out"] for r in mine) == 20
    status, _, text = get(d, "/explain?pod=shop/web-7d9c8b6f5d-bcdfg", "bobs.token")
    assert status == 200 and "annotation of Deployment web" in text and "confirmed up to byte" in text
    for word in (str(operator.port), "onnection refused", "not allowed", "error", "retry"):
        assert word not in text, word
    assert get(d, "/explain?pod=shop/nobody", "bobs.token")[0] == 404
    refused = {get(d, path, "bobs.token")[::2] for path in (
        "/drains", "/drains?namespace=", "/drains?namespace=bank", "/drains?namespace=nosuch", "/drains?namespace=sho*", "/drains?namespace=bank&namespace=shop",
        "/explain?pod=bank/till-7d9c8b6f5d-bcdfg", "/explain?pod=bank/nobody", "/explain", "/explain?pod=shop", "/explain?namespace=shop&pod=bank/x",
        "/explain?hostname=till.bank", "/explain?hostname=web.shop", "/explain?hostname=web.shop&pod=bank/x")}
    assert refused == {(403, "the token's user may not see this\n")}
    assert get(d, "/metrics", "bobs.token")[0] == 403
    # who may read all sees all, whichever namespace he asks for
    assert {r["name"] for r in json.loads(get(d, "/drains?namespace=shop", "anns.token")[2])} == {r["name"] for r in asked(d)}
    assert str(operator.port) in get(d, "/explain?pod=shop/web-7d9c8b6f5d-bcdfg", "anns.token")[2]


def test_T06_a_drain_of_two_namespaces_is_shown_to_neither(node, api, kube, oracle, http):
    """The same URL in two namespaces is one drain. Its figures would show each how much the other writes."""
    web = http()
    for ns in ("shop", "bank"):
        c = node.container("web-7d9c8b6f5d-bcdfg", ns)
        api.workload(c, "web", drains=web.url("batch=ndjson"))
        c.write(oracle.source(ns).take(20))
    d = kube(env={"HTTP_KUBERNETES_AUTH": "true"})
    oracle.wait_complete(web, WAIT)
    api.users |= {"bobs.token": {"username": "bob"}}
    api.readers |= {("bob", "shop")}
    assert len(asked(d)) == 1 and json.loads(get(d, "/drains?namespace=shop", "bobs.token")[2]) == []


def test_T06_an_error_in_a_review_denies_access(tenant, api):
    d, _ = tenant(env={"HTTP_KUBERNETES_AUTH": "true"})
    api.users |= {f"t{i}": {"username": "ann"} for i in range(9)}
    api.readers.add(("ann", ""))
    api.forbidden.add("tokenreviews")
    assert get(d, "/drains", "t0")[0] == 503
    api.forbidden.clear()
    api.forbidden.add("subjectaccessreviews")
    assert get(d, "/drains", "t1")[0] == 503
    api.forbidden.clear()
    for i, answer in enumerate([b"", b"{", b"[]", b'{"status":{}}', b'{"status":{"authenticated":"true","user":{"username":"ann"}}}',
                                b'{"status":{"authenticated":true,"user":{"username":""}}}']):
        api.script("tokenreviews", "create", lambda h, a=answer: h.answer_raw(201, a))
        assert get(d, "/drains", f"t{2 + i}")[0] in (401, 503), answer
    assert get(d, "/drains", "t8")[0] == 200


def test_T06_guessed_tokens_do_not_flood_the_api(tenant, api):
    """One address guesses tokens. The API is asked about a few of them only, and the token of another address is still checked."""
    d, _ = tenant(env={"HTTP_KUBERNETES_AUTH": "true"})
    api.users["anns.token"] = {"username": "ann"}
    api.readers.add(("ann", ""))

    def ask(token, source):
        with socket.create_connection(("127.0.0.1", d.port), WAIT, (source, 0)) as s:
            s.sendall(f"GET /drains HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
            return b"".join(iter(lambda: s.recv(65536), b"")).split()[1]
    answers = [ask(f"guess{i}", "127.0.0.9") for i in range(200)]
    assert set(answers) == {b"401", b"503"} and len(api.reviews) < 150
    assert ask("anns.token", "127.0.0.10") == b"200"

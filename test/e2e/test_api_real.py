"""API_PORT with a real kube-apiserver: two users with rights in two namespaces, and an operator."""

import json
import uuid

import pytest
from lib import kube_real
from lib.api import WAIT, Api
from lib.daemon import limits
from lib.kube_real import DEPLOYMENTS
from lib.preload import Clock
from lib.wait import wait_for

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def cluster(kube_api, node, daemon, tmp_path):
    """(Api, daemon, Clock, {namespace: (workloads, container, token)}, the operator's token)."""
    kube_api.kubectl("apply", "-f", DEPLOYMENTS / "examples/access/review-role.yaml")
    unique = uuid.uuid4().hex[:8]
    users = {}
    for team in ("ann", "bob"):
        w = kube_real.Workloads(kube_api, node, f"node-{unique}", f"{team}-{unique}")
        kube_api.kubectl("-n", w.namespace, "create", "role", "logs", "--verb=get", "--resource=pods/log")
        kube_api.kubectl("-n", w.namespace, "create", "rolebinding", "logs", "--role=logs", f"--serviceaccount={w.namespace}:default")
        _, container = w.deployment("web")
        container.write([f"a line of {team}".encode()])
        users[team] = w, container, (kube_api.account_dir(w.namespace, "default") / "token").read_text()
    kube_api.kubectl("-n", "logtrain", "create", "serviceaccount", f"ops-{unique}")
    kube_api.kubectl("-n", "logtrain", "create", "role", f"ops-{unique}", "--verb=update", "--resource=daemonsets.apps")
    kube_api.kubectl("-n", "logtrain", "create", "rolebinding", f"ops-{unique}", f"--role=ops-{unique}", f"--serviceaccount=logtrain:ops-{unique}")
    clock = Clock(tmp_path)
    d = daemon(node, routes=[("*", "null://")], env={**kube_api.daemon_env(f"node-{unique}"), **Api.env(tmp_path), **clock.env,
                                                     "API_KUBERNETES_AUTH": "true", "POD_NAMESPACE": "logtrain"})
    d.secrets += [token for _, _, token in users.values()]
    return Api(d), d, clock, users, (kube_api.account_dir("logtrain", f"ops-{unique}") / "token").read_text()


def test_each_user_sees_his_own(kube_api, cluster, closing):
    """403 for the other's, also by guessed names and by the position of another. A token that is revoked ends its tail within a minute."""
    api, d, clock, users, operator = cluster
    tails = {}
    for team, (w, container, token) in users.items():
        other = users["bob" if team == "ann" else "ann"][0].namespace
        wait_for(lambda: "web" in api.ask(f"/v1/streams?namespace={w.namespace}", token)[2], WAIT, "the stream to have its name")
        tails[team] = t = closing(api.tail(token, headers={"Accept": "text/event-stream"}, namespace=w.namespace, workload="web", since="start"))
        wait_for(lambda: any(f"a line of {team}".encode() in line for line in t.lines), WAIT, "the user's line")
        for query in (f"namespace={other}", "", f"namespace={w.namespace}&namespace={other}", "namespace=nosuch", f"hostname=web.{other}", "name=web"):
            for page in ("/v1/tail", "/v1/streams"):
                assert api.ask(f"{page}?{query}", token)[::2] == (403, "the token's user may not see this\n"), (page, query)
        assert api.ask("/v1/drains", token)[0] == 403 and api.ask(f"/v1/drains?namespace={other}", token)[0] == 403
        assert api.ask("/v1/streams", token + "x")[0] == 401
    last = next(line[4:].decode() for line in tails["ann"].lines if line.startswith(b"id: "))
    w, container, token = users["bob"]
    status, _, text = api.ask(f"/v1/tail?follow=false&namespace={w.namespace}", token, Accept="text/event-stream", Last_Event_ID=last)
    assert status == 200 and "ann" not in text
    assert all("last_error" in json.loads(line) for line in api.ask("/v1/drains", operator)[2].splitlines())
    assert api.ask("/v1/streams", operator)[0] == 403
    # ann's account is deleted
    kube_api.kubectl("-n", users["ann"][0].namespace, "delete", "serviceaccount", "default")
    clock.step(mono=limits()["ACCESS_CACHE_MS"] / 1000 + 1)
    wait_for(lambda: d.metrics() and tails["ann"].whole is False, WAIT, "the tail to end")
    container.write([b"bob goes on"])
    wait_for(lambda: any(b"bob goes on" in line for line in tails["bob"].lines), WAIT, "the other's line")
    assert api.ask(f"/v1/streams?namespace={users['ann'][0].namespace}", users["ann"][2])[0] == 401

"""Annotations as routes and the names of pods, with an API server that obeys (lib/kapi.py). What it does wrong is in
test_kube_fake_faults.py."""

import re

import pytest
from lib.daemon import SLOW, run
from lib.kapi import Kapi
from lib.node import Writer
from lib.wait import stays, wait_for

WAIT = 30 * SLOW


@pytest.fixture
def api(closing):
    return closing(Kapi())


@pytest.fixture
def kube(daemon, node, api, tmp_path):
    """kube(…): the daemon with the fake API server; env and other options as daemon()'s."""
    def start(env=None, args=(), wait=True, **options):
        config = api.kubeconfig(tmp_path / "kubeconfig")
        return daemon(node, env={"KUBERNETES_DATASOURCE": "true", "NODE": api.node, "EGRESS_ALLOW": "127.0.0.0/8",
                                 **(env or {})},
                      args=["--kube-config", str(config), *args], wait=wait, **options)
    return start


def names(peer):
    """The pairs of HOSTNAME and APP-NAME that arrived."""
    return {tuple(m.decode().split(" ")[2:4]) for m in peer.messages()}


def arrives(peer, oracle, count=1):
    wait_for(lambda: len(peer.messages()) >= count, WAIT, lambda: f"{count} messages, there are {len(peer.messages())}")


def write(container, oracle, n=10):
    source = oracle.source(container.pod.name + str(len(oracle.sources)))
    container.write(source.take(n))


def test_a_deployments_annotation_gets_its_lines_and_only_those(node, oracle, api, kube, syslog_tcp):
    peer = syslog_tcp()
    web, other = node.container("web-7d9c8b6f5d-abcde", "shop"), node.container("api-7d9c8b6f5d-abcde", "shop")
    api.workload(web, "web", drains=peer.url())
    api.workload(other, "api")
    source = oracle.source("web")
    web.write(source.take(100))
    other.write(oracle.source("other").take(100))
    kube()
    oracle.wait_complete(peer, WAIT, ["web"]).assert_exact()
    assert names(peer) == {("web.shop", "web-7d9c8b6f5d-abcde")}

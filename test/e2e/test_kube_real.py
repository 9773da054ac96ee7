"""Against a real kube-apiserver: what kubectl applies is what the daemon does, under the shipped RBAC and no more."""

import pytest

from lib import kube_real
from lib.daemon import ROOT
from lib.kube_real import DEPLOYMENTS

pytestmark = pytest.mark.timeout(600)


def test_deployments_apply_as_they_are(kube_api):
    """All of it is valid to a server that knows every field; and what the examples make of it."""
    for what in ("-k", DEPLOYMENTS / "examples/routes"), ("-f", DEPLOYMENTS / "examples/workload.yaml"), \
            ("-f", DEPLOYMENTS / "examples/network-policy.yaml"):
        if "workload" in str(what[1]):  # its namespace exists only then
            kube_api.kubectl("apply", *what)
        else:
            kube_api.kubectl("apply", "--dry-run=server", *what)
    status, daemon_set = kube_api.call("GET", "/apis/apps/v1/namespaces/logtrain/daemonsets/logtrain")
    assert status == 200
    spec = daemon_set["spec"]["template"]["spec"]
    security = spec["containers"][0]["securityContext"]
    assert security["capabilities"] == {"drop": ["ALL"]} and security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False and security["privileged"] is False
    assert "initContainers" not in spec and "hostNetwork" not in spec
    mounts = {m["mountPath"]: m.get("readOnly", False) for m in spec["containers"][0]["volumeMounts"]}
    assert mounts == {"/var/log": True, "/var/lib/logtrain": False}


def test_the_shipped_role_only_reads(kube_api):
    """Asked as the ServiceAccount itself: it may list what it must, and can neither write nor read a secret."""
    def may(verb, resource):
        status, got = kube_api.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": {"user": "system:serviceaccount:logtrain:logtrain", "resourceAttributes": {
                "verb": verb, "group": resource.rpartition("/")[0], "resource": resource.rpartition("/")[2]}}})
        assert status == 201, got
        return got["status"]["allowed"]

    for resource in ("pods", "namespaces", "apps/deployments", "apps/statefulsets", "apps/daemonsets", "apps/replicasets",
                     "batch/jobs", "batch/cronjobs"):
        assert all(may(verb, resource) for verb in ("get", "list", "watch")), resource
        assert not any(may(verb, resource) for verb in ("create", "update", "patch", "delete")), resource
    assert not any(may("get", resource) for resource in ("secrets", "configmaps", "nodes", "pods/log"))


def test_available_says_why(monkeypatch):
    monkeypatch.setenv("LOGTRAIN_CACHE", str(ROOT / "nowhere"))
    assert "scripts/kube-apiserver" in kube_real.available()

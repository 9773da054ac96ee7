"""A real Kubernetes API: etcd and kube-apiserver, with RBAC and ServiceAccounts, and kubectl to use it.

There are no controllers and no kubelet: a test creates the ReplicaSets and Pods itself, with owner references as controllers write
them, and the files of their containers with lib/node.py. kube-apiserver comes from the cache of scripts/kube-apiserver."""

import base64
import http.client
import json
import os
import shutil
import ssl
import subprocess
from pathlib import Path

from .certs import Certs, _openssl
from .daemon import ROOT, SLOW
from .ports import free_port
from .real import Program, _program
from .wait import wait_for

DEPLOYMENTS = ROOT / "deployments"
DRAINS = "logtrain.akkeris.io/drains"
HOSTNAME = "logtrain.akkeris.io/hostname"
TAG = "logtrain.akkeris.io/tag"

PATHS = {
    "Namespace": "/api/v1/namespaces", "Pod": "/api/v1/namespaces/{ns}/pods",
    "ServiceAccount": "/api/v1/namespaces/{ns}/serviceaccounts",
    "Deployment": "/apis/apps/v1/namespaces/{ns}/deployments", "ReplicaSet": "/apis/apps/v1/namespaces/{ns}/replicasets",
    "StatefulSet": "/apis/apps/v1/namespaces/{ns}/statefulsets", "DaemonSet": "/apis/apps/v1/namespaces/{ns}/daemonsets",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/namespaces/{ns}/endpointslices",
    "Job": "/apis/batch/v1/namespaces/{ns}/jobs", "CronJob": "/apis/batch/v1/namespaces/{ns}/cronjobs",
}


def _server():
    done = subprocess.run([ROOT / "scripts/kube-apiserver", "--path"], capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())


def available():
    """Why it cannot run here, or None."""
    if not _server().exists():
        return "kube-apiserver is not built here: scripts/kube-apiserver does that, once (it needs Go)"
    if not _program("etcd"):
        return "etcd is not installed (Debian: etcd-server)"
    if not shutil.which("kubectl"):
        return "kubectl is not installed (Debian: kubernetes-client)"
    return None


class KubeApi(Program):
    """Started by the constructor. kill() and start() do not touch etcd, so all objects stay."""

    def __init__(self, directory):
        super().__init__(directory)
        self.certs = Certs(self.dir / "certs")
        self._admin()
        self.etcd = Program(self.dir / "etcd")
        self.port, self._etcd_port = free_port(), free_port()
        etcd = f"http://127.0.0.1:{self._etcd_port}"
        self.etcd.spawn(_program("etcd"), "--data-dir", self.dir / "etcd/data", "--listen-client-urls", etcd,
                        "--advertise-client-urls", etcd, "--listen-peer-urls", f"http://127.0.0.1:{free_port()}",
                        "--unsafe-no-fsync", "--logger", "zap", "--log-level", "error")
        self.etcd.wait_listening(self._etcd_port)
        self.start()
        self.kubeconfig = self._write_kubeconfig()
        wait_for(self._has_defaults, 60 * SLOW, lambda: f"the API server's own objects: {self.text()}")

    def _admin(self):
        c, subject = self.certs, "/O=system:masters/CN=admin"
        _openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", subject,
                 "-keyout", c.key("admin"), "-out", c.dir / "admin.csr")
        _openssl("x509", "-req", "-in", c.dir / "admin.csr", "-CA", c.pem("ca"), "-CAkey", c.key("ca"), "-CAcreateserial",
                 "-days", 30, "-out", c.pem("admin"))
        _openssl("genrsa", "-out", c.key("accounts"), 2048)

    def start(self):
        c = self.certs
        policy = self.dir / "audit-policy"
        policy.write_text(json.dumps({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
                                      "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]}, {"level": "None"}]}))
        self.spawn(_server(), "--etcd-servers", f"http://127.0.0.1:{self._etcd_port}", "--bind-address", "127.0.0.1",
                   "--advertise-address", "127.0.0.1", "--secure-port", self.port, "--cert-dir", self.dir,
                   "--tls-cert-file", c.pem("good"), "--tls-private-key-file", c.key("good"), "--client-ca-file", c.pem("ca"),
                   "--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", c.key("accounts"),
                   "--service-account-signing-key-file", c.key("accounts"), "--authorization-mode", "RBAC",
                   "--service-cluster-ip-range", "10.0.0.0/24", "--endpoint-reconciler-type", "none", "--v", "0",
                   "--audit-policy-file", policy, "--audit-log-path", self.dir / "audit", "--audit-log-mode", "blocking-strict")
        wait_for(self._is_ready, 90 * SLOW, lambda: f"the API server: {self.text()}")
        return self

    def _is_ready(self):
        self._alive()
        try:
            return self.call("GET", "/readyz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def _has_defaults(self):
        return all(self.call("GET", path)[0] == 200 for path in (
            "/api/v1/namespaces/default", "/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:discovery"))

    def close(self):
        self.stop()
        self.etcd.stop()

    # requests, as its administrator

    def call(self, method, path, body=None, kind="application/json", timeout=30):
        """(status, parsed answer)."""
        context = ssl.create_default_context(cafile=self.certs.pem("ca"))
        context.load_cert_chain(self.certs.pem("admin"), self.certs.key("admin"))
        conn = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout * SLOW, context=context)
        try:
            conn.request(method, path, body if body is None else json.dumps(body), {"Content-Type": kind})
            answer = conn.getresponse()
            text = answer.read().decode()
            return answer.status, json.loads(text) if text.startswith("{") else text
        finally:
            conn.close()

    def make(self, body):
        """Creates the object; returns it as the server stores it."""
        meta = body["metadata"]
        path = PATHS[body["kind"]].format(ns=meta.get("namespace", "default"))
        status, got = self.call("POST", path, body)
        assert status == 201, got
        return got

    def annotate(self, obj, **annotations):
        """Merges annotations into those of <obj>; None removes one. Names without a domain get ours."""
        meta = obj["metadata"]
        full = {(k if "/" in k else f"logtrain.akkeris.io/{k}"): v for k, v in annotations.items()}
        path = f"{PATHS[obj['kind']].format(ns=meta.get('namespace', 'default'))}/{meta['name']}"
        status, got = self.call("PATCH", path, {"metadata": {"annotations": full}}, "application/merge-patch+json")
        assert status == 200, got
        return got

    def delete(self, obj):
        meta = obj["metadata"]
        path = f"{PATHS[obj['kind']].format(ns=meta.get('namespace', 'default'))}/{meta['name']}?gracePeriodSeconds=0"
        status, got = self.call("DELETE", path)
        assert status == 200, got

    # kubectl

    def _write_kubeconfig(self):
        def data(path):
            return base64.b64encode(path.read_bytes()).decode()
        path = self.dir / "kubeconfig"
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": f"https://127.0.0.1:{self.port}",
                                                      "certificate-authority-data": data(self.certs.pem("ca"))}}],
            "users": [{"name": "admin", "user": {"client-certificate-data": data(self.certs.pem("admin")),
                                                 "client-key-data": data(self.certs.key("admin"))}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}]}))
        return path

    def kubectl(self, *args, stdin=None):
        done = subprocess.run(["kubectl", "--kubeconfig", self.kubeconfig, "--cache-dir", self.dir / "kubectl", *map(str, args)],
                              input=stdin, capture_output=True, text=True, timeout=120 * SLOW,
                              env={"PATH": os.environ["PATH"], "HOME": str(self.dir)})
        assert done.returncode == 0, f"kubectl {' '.join(map(str, args))}: {done.stderr}"
        return done.stdout

    def audited(self, namespace="logtrain", name="logtrain"):
        """{(verb, "group/resource")} that the ServiceAccount requested and was allowed."""
        asked = set()
        for line in (self.dir / "audit").read_text().splitlines():
            event = json.loads(line)
            of = event.get("objectRef", {})
            if event["user"]["username"] == f"system:serviceaccount:{namespace}:{name}" and of.get("resource") and \
                    event["annotations"].get("authorization.k8s.io/decision") == "allow":
                asked.add((event["verb"], "/".join(filter(None, (of.get("apiGroup"), of["resource"])))))
        return asked

    # what a pod of a DaemonSet gets

    def account_dir(self, namespace="logtrain", name="logtrain"):
        """The files that kubelet mounts for that ServiceAccount: token, ca.crt, namespace."""
        directory = self.dir / f"account-{namespace}-{name}"
        directory.mkdir(exist_ok=True)
        status, got = self.call("POST", f"{PATHS['ServiceAccount'].format(ns=namespace)}/{name}/token",
                                {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}})
        assert status == 201, got
        (directory / "token").write_text(got["status"]["token"])
        (directory / "namespace").write_text(namespace)
        shutil.copy(self.certs.pem("ca"), directory / "ca.crt")
        return directory

    def daemon_env(self, node_name):
        """The environment of logtrain in a pod on that node, under the DaemonSet's ServiceAccount."""
        return {"KUBERNETES_DATASOURCE": "true", "KUBERNETES_SERVICE_HOST": "127.0.0.1",
                "KUBERNETES_SERVICE_PORT": self.port, "KUBERNETES_SERVICEACCOUNT": self.account_dir(), "NODE": node_name,
                "EGRESS_ALLOW": "127.0.0.1"}


class Workloads:
    """Objects in one namespace of a real API, and their containers on one node."""

    def __init__(self, api, node, node_name, namespace):
        self.api, self.node, self.node_name, self.namespace = api, node, node_name, namespace
        self.namespace_object = api.make({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        api.make({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": namespace}})

    def _meta(self, name, owner=None, **annotations):
        meta = {"name": name, "namespace": self.namespace, "labels": {"app": "x"}}
        if annotations:
            meta["annotations"] = {f"logtrain.akkeris.io/{k}": v for k, v in annotations.items()}
        if owner:
            meta["ownerReferences"] = [{"apiVersion": owner["apiVersion"], "kind": owner["kind"], "controller": True,
                                        "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}]
        return meta

    _POD_SPEC = {"containers": [{"name": "main", "image": "none"}]}

    def _spec(self, kind):
        template = {"metadata": {"labels": {"app": "x"}}, "spec": self._POD_SPEC}
        if kind == "Job":
            return {"template": {"spec": self._POD_SPEC | {"restartPolicy": "Never"}}}
        spec = {"selector": {"matchLabels": {"app": "x"}}, "template": template}
        return spec | ({"serviceName": "x"} if kind == "StatefulSet" else {})

    def controller(self, kind, name, owner=None, **annotations):
        group = "batch/v1" if kind == "Job" else "apps/v1"
        return self.api.make({"apiVersion": group, "kind": kind, "metadata": self._meta(name, owner, **annotations),
                              "spec": self._spec(kind)})

    def pod_object(self, name, owner=None, **annotations):
        spec = self._POD_SPEC | {"nodeName": self.node_name, "automountServiceAccountToken": False}
        return self.api.make({"apiVersion": "v1", "kind": "Pod", "metadata": self._meta(name, owner, **annotations), "spec": spec})

    def container_of(self, pod):
        return self.node.pod(pod["metadata"]["name"], self.namespace, pod["metadata"]["uid"]).container()

    def pod(self, name, owner=None, **annotations):
        """The pod, and its container on the node: (object, container)."""
        pod = self.pod_object(name, owner, **annotations)
        return pod, self.container_of(pod)

    def deployment(self, name, **annotations):
        """A Deployment with a ReplicaSet and a pod: (the Deployment, the container)."""
        deployment = self.controller("Deployment", name, **annotations)
        replicas = self.controller("ReplicaSet", f"{name}-64cd4f4ff7", deployment)
        return deployment, self.pod(f"{name}-64cd4f4ff7-6bqb8", replicas)[1]



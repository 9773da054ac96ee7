"""The Helm chart: it renders with each set of values in its ci/, its schema refuses unknown values, it produces the same objects
as the kustomizations, and a real API server accepts them."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from lib import kube_real
from lib.daemon import ROOT, SLOW
from lib.wait import wait_for

CHART = ROOT / "deployments/helm/logtrain"
VALUES = sorted((CHART / "ci").glob("*.yaml"))
OLDEST, NEWEST = "1.26.0", "1.34.0"  # of Kubernetes


def program(script):
    path = Path(subprocess.run([ROOT / "scripts" / script, "--path"], capture_output=True, text=True, check=True).stdout.strip())
    return path if path.exists() else shutil.which(script)


HELM = program("helm")
needs_helm = pytest.mark.skipif(not HELM, reason="helm is not here: scripts/helm builds it, once (it needs Go)")
needs_kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed (Debian: kubernetes-client)")


def helm(*args):
    return subprocess.run([HELM, *map(str, args)], capture_output=True, text=True, timeout=120)


def template(*args, namespace="logtrain", kube=NEWEST):
    done = helm("template", "logtrain", CHART, "-n", namespace, "--kube-version", kube, *args)
    assert done.returncode == 0, done.stderr
    return list(filter(None, yaml.safe_load_all(done.stdout)))


def refused(*args):
    done = helm("template", "logtrain", CHART, "-n", "logtrain", "--kube-version", NEWEST, *args)
    assert done.returncode != 0
    return done.stderr


def of_kind(objects, kind, name="logtrain"):
    found = [o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name]
    assert len(found) == 1, f"{kind} {name}: {[(o['kind'], o['metadata']['name']) for o in objects]}"
    return found[0]


def container_of(objects, name="logtrain"):
    return of_kind(objects, "DaemonSet", name)["spec"]["template"]["spec"]["containers"][0]


def env_of(objects, name="logtrain"):
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in container_of(objects, name)["env"]}


def test_the_schema_knows_the_variables():
    subprocess.run([ROOT / "scripts/chart-schema", "--check"], check=True)


def test_its_version_is_the_program_s():
    version = re.search(r"project\(logtrain VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text())[1]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == chart["version"] == version


def test_each_variable_is_a_setting_or_set_by_the_chart():
    """Every variable of the daemon's table can be set: in `config`, or by a value of its own (the templates name it)."""
    text = (ROOT / "docs/configuration.md").read_text().partition("## Environment")[2].partition("\nAccepted and ignored")[0]
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["config"]["properties"]
    templates = "".join(p.read_text() for p in (CHART / "templates").iterdir())
    elsewhere = {"KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBERNETES_SERVICEACCOUNT",  # Kubernetes sets these
                 "HTTP_ADDRESS", "HTTP_PORT_FILE", "INPUT_PORTS_FILE", "API_PORT_FILE",  # useless in a pod
                 "API_TLS_CERT_PEM", "API_TLS_KEY_PEM", "API_TLS_CA_PEM", "API_TLS_CLIENT_CA_PEM"}  # no secret as text: their _FILEs can be set
    for name in re.findall(r"^\| `([A-Z_]+)`", text, re.M):
        by_input = re.fullmatch(r"(SYSLOG_(TCP|UDP|TLS)|ENVOY)(_PORT|_(TLS_)?(CERT|KEY|CLIENT_CA|CA)_PEM(_FILE)?)?", name)
        assert name in schema or name in elsewhere or by_input or re.search(rf"name: {name}\b", templates), name


@needs_helm
def test_it_is_linted():
    for values in [None, *VALUES]:
        done = helm("lint", "--strict", "--kube-version", NEWEST, CHART, *(["-f", values] if values else []))
        assert done.returncode == 0, f"{values}: {done.stdout}{done.stderr}"


@needs_helm
@pytest.mark.parametrize("kube", [OLDEST, NEWEST])
@pytest.mark.parametrize("values", VALUES, ids=lambda p: p.stem)
def test_it_renders(values, kube):
    objects = template("-f", values, kube=kube)
    assert len({(o["kind"], o["metadata"]["name"]) for o in objects}) == len(objects)
    for o in objects:
        assert o["metadata"].get("namespace", "logtrain") == "logtrain"
    security = container_of(objects, "logs" if values.stem == "full-values" else "logtrain")["securityContext"]
    assert security["capabilities"] == {"drop": ["ALL"]} and security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False and security["privileged"] is False


@needs_helm
@pytest.mark.parametrize("bad, words", [
    (["--set", "config.MAXLINE=2m"], "MAXLINE"),
    (["--set", "config.MAX_LINE=2 MB"], "MAX_LINE"),
    (["--set", "config.READ_FROM=beginning"], "READ_FROM"),
    (["--set", "config.WORKERS=65"], "WORKERS"),
    (["--set", "config.POSTGRES=true"], "POSTGRES"),
    (["--set", "images.tag=1"], "images"),
    (["--set", "image.digest=sha256:1"], "digest"),
    (["--set", "inputs.syslogTcp.port=0"], "port"),
    (["--set", "rbac.event=false"], "event"),
    (["--set", "paths.log=var/log"], "log"),
    (["--set", "postgres.enabled=true"], "postgres.existingSecret"),
    (["--set", "inputs.syslogTls.enabled=true"], "inputs.syslogTls.tlsSecret"),
    (["--set", "inputs.envoy.enabled=true,inputs.envoy.clientCaSecret=a"], "inputs.envoy.tlsSecret"),
    (["--set", "routes=a b", "--set", "existingRoutesSecret=c"], "existingRoutesSecret"),
    (["--set", "annotations=false"], "no routes"),
], ids=lambda v: v[1] if isinstance(v, list) else "")
def test_bad_values_are_refused_by_name(bad, words):
    assert words in refused(*bad)


# --- the same as the kustomizations -----------------------------------------------------------------------------------

OURS = {"app.kubernetes.io/name"}


def plain(obj):
    """Without what only one of the two has: helm's labels, the order of variables, the image's tag."""
    if isinstance(obj, list):
        return [plain(x) for x in obj]
    if not isinstance(obj, dict):
        return obj
    made = {}
    for key, value in obj.items():
        if key in ("labels", "matchLabels") and isinstance(value, dict) and OURS & set(value):
            value = {k: v for k, v in value.items() if k in OURS}
        if key == "selector" and isinstance(value, dict) and OURS & set(value):
            value = {k: v for k, v in value.items() if k in OURS}
        if key in ("env", "ports") and all("name" in e for e in value):
            value = sorted(value, key=lambda e: e["name"])
        if key == "image":
            value = value.partition(":")[0]
        made[key] = plain(value)
    return made


def keyed(objects):
    found = {}
    for o in objects:
        o = plain(o)
        if o["kind"] in ("ClusterRole", "ClusterRoleBinding", "ServiceAccount", "NetworkPolicy", "Secret"):
            o["metadata"].pop("labels", None)
        found[o["kind"], o["metadata"]["name"]] = o
    return found


def kustomize(folder):
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


@needs_helm
@needs_kubectl
@pytest.mark.parametrize("folder, values", [("kubernetes", None), ("examples/inputs", "inputs"), ("examples/access", "access")],
                         ids=lambda v: str(v))
def test_it_makes_what_the_kustomization_makes(folder, values):
    helms = keyed(template(*(["-f", CHART / f"ci/{values}-values.yaml"] if values else [])))
    kustomized = keyed(kustomize(ROOT / "deployments" / folder))
    del kustomized["Namespace", "logtrain"]  # helm's --create-namespace
    assert helms.keys() == kustomized.keys()
    for key, want in kustomized.items():
        assert helms[key] == want, key


@needs_helm
def test_its_network_policy_is_the_example():
    want = keyed(yaml.safe_load_all((ROOT / "deployments/examples/network-policy.yaml").read_text()))
    got = keyed(template("-f", CHART / "ci/network-policy-values.yaml"))
    assert got["NetworkPolicy", "logtrain"] == want["NetworkPolicy", "logtrain"]


@needs_kubectl
def test_the_one_file_is_the_kustomization():
    """deployments/logtrain.yaml, for kubectl apply -f: the namespace comes first."""
    objects = list(yaml.safe_load_all((ROOT / "deployments/logtrain.yaml").read_text()))
    assert objects[0]["kind"] == "Namespace"
    assert objects == kustomize(ROOT / "deployments/kubernetes"), "kubectl kustomize deployments/kubernetes >deployments/logtrain.yaml"


# --- single values ---------------------------------------------------------------------------------------------------

@needs_helm
def test_an_image_by_tag_or_digest():
    assert container_of(template("--set-string", "image.tag=7"))["image"] == "logtrain:7"
    digest = "sha256:" + "ab" * 32
    assert container_of(template("--set", f"image.digest={digest}"))["image"] == f"logtrain@{digest}"


@needs_helm
def test_numbers_stay_numbers():
    """A large number in a values file is a float to helm."""
    env = env_of(template("-f", CHART / "ci/full-values.yaml"), "logs")
    assert env["HELD_BYTES_MAX"] == "20000000" and env["WORKERS"] == "2" and env["DEBUG"] == "true"


@needs_helm
def test_a_system_class_brings_its_quota():
    made = template("-f", CHART / "ci/system-critical-values.yaml")
    quota = of_kind(made, "ResourceQuota")["spec"]
    assert quota["scopeSelector"]["matchExpressions"] == [
        {"scopeName": "PriorityClass", "operator": "In", "values": ["system-node-critical"]}]
    assert not any(o["kind"] == "ResourceQuota" for o in template() + template(
        "-f", CHART / "ci/system-critical-values.yaml", namespace="kube-system"))


@needs_helm
def test_without_events_nothing_writes():
    made = template("--set", "rbac.events=false")
    verbs = {v for o in made if o["kind"] == "ClusterRole" for r in o["rules"] for v in r["verbs"]}
    assert verbs == {"get", "list", "watch"} and env_of(made)["KUBERNETES_EVENTS"] == "false"


@needs_helm
def test_two_releases_share_no_cluster_role():
    names = [{o["metadata"]["name"] for o in template(namespace=n) if o["kind"].startswith("ClusterRole")} for n in ("a", "b")]
    assert names[0] and not names[0] & names[1]


@needs_helm
def test_openshift():
    made = template("-f", CHART / "ci/openshift-values.yaml")
    scc = of_kind(made, "SecurityContextConstraints")
    assert scc["allowHostDirVolumePlugin"] is True and scc["allowPrivilegedContainer"] is False
    assert container_of(made)["securityContext"]["seLinuxOptions"] == {"type": "spc_t"}
    used = {v["hostPath"] and "hostPath" for v in of_kind(made, "DaemonSet")["spec"]["template"]["spec"]["volumes"]}
    assert used <= set(scc["volumes"])
    rule = of_kind(made, "ClusterRole", "logtrain-scc")["rules"][0]
    assert rule["verbs"] == ["use"] and rule["resourceNames"] == [scc["metadata"]["name"]]


@needs_helm
def test_secrets_are_mounted_and_never_values():
    made = template("-f", CHART / "ci/full-values.yaml")
    pod = of_kind(made, "DaemonSet", "logs")["spec"]["template"]["spec"]
    mounts = {m["name"]: m["mountPath"] for m in pod["containers"][0]["volumeMounts"]}
    volumes = {v["name"]: v for v in pod["volumes"]}
    assert set(mounts) == set(volumes)
    env = env_of(made, "logs")
    assert env["DATABASE_URL"] == {"secretKeyRef": {"name": "logtrain-postgres", "key": "DATABASE_URL"}}
    for name, value in env.items():
        if name.endswith("_FILE"):
            assert [m for m in mounts.values() if Path(value).parent == Path(m)], f"{name}={value}"


@needs_helm
def test_the_alerts_of_the_rule():
    rules = of_kind(template("-f", CHART / "ci/full-values.yaml"), "PrometheusRule", "logs")["spec"]["groups"][0]["rules"]
    source = yaml.safe_load((CHART / "files/alerts.yaml").read_text())["groups"][0]["rules"]
    assert [r["alert"] for r in rules] == [r["alert"] for r in source if r["alert"] != "LogtrainLinesCut"]
    for r in rules:
        assert r["annotations"]["runbook_url"] == f"https://runbooks.example/logtrain#{r['alert'].lower()}"
        assert r["expr"] == next(s["expr"] for s in source if s["alert"] == r["alert"])


# --- on a real API server ---------------------------------------------------------------------------------------------

NOT_THERE = {"PodMonitor", "PrometheusRule", "SecurityContextConstraints"}  # resources of other projects


@needs_helm
@pytest.mark.timeout(600)
def test_a_real_api_server_takes_all_of_it(kube_api):
    for n, values in enumerate([None, *VALUES]):
        namespace = f"chart-{n}"
        kube_api.make({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        objects = [o for o in template(*(["-f", values] if values else []), namespace=namespace) if o["kind"] not in NOT_THERE]
        kube_api.kubectl("apply", "--server-side", "--validate=strict", "-f", "-", stdin=yaml.safe_dump_all(objects))


@needs_helm
@pytest.mark.timeout(600)
def test_its_role_is_what_the_daemon_uses(kube_api, node, daemon):
    """The API server's audit log has each list and watch, and the Event for a refused drain; no request of the daemon was
    refused."""
    kube_api.make({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "chart-role"}})
    objects = template(namespace="chart-role")
    kube_api.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(objects))
    w = kube_real.Workloads(kube_api, node, "node-chart", "chart-workloads")
    w.deployment("web", drains="gopher://x")
    env = {**kube_api.daemon_env("node-chart"), "KUBERNETES_SERVICEACCOUNT": kube_api.account_dir("chart-role")}
    d = daemon(node, env=env)
    granted = {(verb, "/".join(filter(None, (group, resource)))) for o in objects if o["kind"] == "ClusterRole" for r in o["rules"]
               for group in r["apiGroups"] for resource in r["resources"] for verb in r["verbs"]}
    expected = {g for g in granted if g[0] in ("list", "watch", "create")}
    wait_for(lambda: expected <= kube_api.audited("chart-role"), 120 * SLOW,
             lambda: f"{expected - kube_api.audited('chart-role')} to be asked for: {d.tail()}")
    assert kube_api.audited("chart-role") <= granted
    assert not d.log_lines("not allowed")


@needs_helm
@pytest.mark.timeout(600)
def test_it_is_installed_upgraded_and_taken_away(kube_api, tmp_path):
    """The notes after the installation match the values."""
    def go(*args):
        done = subprocess.run([HELM, "--kubeconfig", kube_api.kubeconfig, "-n", "logs", *map(str, args)], capture_output=True, text=True,
                              timeout=300, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)})
        assert done.returncode == 0, done.stderr
        return done.stdout

    def daemon_set():
        status, got = kube_api.call("GET", "/apis/apps/v1/namespaces/logs/daemonsets/logtrain")
        return got if status == 200 else None

    notes = go("install", "logtrain", CHART, "--create-namespace", "--set", "rbac.create=false").partition("NOTES:")[2]
    assert "kubectl -n logs rollout status daemonset/logtrain" in notes and "rbac.create is false" in notes
    assert daemon_set()["spec"]["template"]["spec"]["containers"][0]["image"] == "logtrain:0.1.0"
    notes = go("upgrade", "logtrain", CHART, "-f", CHART / "ci/inputs-values.yaml").partition("NOTES:")[2]
    assert "logtrain-inputs.logs.svc" in notes and "rbac.create is false" not in notes
    assert len(daemon_set()["spec"]["template"]["spec"]["containers"][0]["ports"]) == 4
    go("uninstall", "logtrain")
    assert daemon_set() is None
    assert not [i for i in kube_api.call("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles")[1]["items"]
                if i["metadata"]["name"].startswith("logtrain-logs")]

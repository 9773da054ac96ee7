"""The dashboard: Grafana can load the file, and a real Prometheus that scrapes a daemon answers each of its queries with series."""

import http.client
import json
import re
import shutil
import subprocess
import urllib.parse

import pytest
from lib.daemon import ROOT
from lib.ports import free_port
from lib.wait import wait_for

BOARD = json.loads((ROOT / "deployments/helm/logtrain/files/dashboard.json").read_text())
PANELS = [p for p in BOARD["panels"] if p["type"] != "row"]
SOURCES = "".join(p.read_text() for p in (ROOT / "src").rglob("metrics*.c"))
# Series that the test below does not have: nothing fails, nothing lags, and there is neither a cluster nor a database.
MAY_BE_EMPTY = re.compile(r"kubernetes|postgres|> 0|seconds_to_loss|lost_records|rejected_records|namespace_read|state=")


def queries():
    return [(p["title"], t["expr"]) for p in PANELS for t in p["targets"]]


def test_it_is_whole():
    ids = [p["id"] for p in BOARD["panels"]]
    assert len(ids) == len(set(ids))
    for p in PANELS:
        assert p["datasource"]["uid"] == "${datasource}" and p["description"] and p["targets"], p["title"]
        refs = [t["refId"] for t in p["targets"]]
        assert len(refs) == len(set(refs)), p["title"]
    names = {v["name"] for v in BOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(PANELS)))
    assert used == names, used ^ names


def test_no_panel_lies_on_another():
    taken = {}
    for p in BOARD["panels"]:
        g = p["gridPos"]
        assert g["x"] + g["w"] <= 24, p["title"]
        for cell in ((x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])):
            assert cell not in taken, f"{p['title']} lies on {taken[cell]}"
            taken[cell] = p["title"]


def test_each_series_exists():
    for title, expression in queries():
        for name in re.findall(r"\b((?:logtrain|process)_\w+)", expression):
            assert f'"{name.removesuffix("_bucket")}"' in SOURCES, f"{title}: {name}"


@pytest.fixture
def prometheus(tmp_path):
    """prometheus(port): a Prometheus that scrapes that port every second. ask(query) returns its answer."""
    if not shutil.which("prometheus"):
        pytest.skip("prometheus is not installed (Debian: prometheus)")
    running = []

    def start(scraped):
        port = free_port()
        (tmp_path / "prometheus.yml").write_text(json.dumps({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [{"job_name": "logtrain", "static_configs": [{"targets": [f"127.0.0.1:{scraped}"]}]}]}))
        with open(tmp_path / "prometheus.log", "wb") as log:
            running.append(subprocess.Popen(
                ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/tsdb",
                 f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log))

        def ask(query):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            try:
                connection.request("GET", "/api/v1/query?" + urllib.parse.urlencode({"query": query}))
                return json.loads(connection.getresponse().read())
            except (OSError, http.client.HTTPException, ValueError):  # not up yet
                return {"status": "away"}
            finally:
                connection.close()
        return ask

    yield start
    for one in running:
        one.terminate()
        one.wait(60)


def test_a_real_prometheus_answers_each_query(daemon, node, oracle, syslog_tcp, prometheus):
    peer = syslog_tcp()
    container = node.container("web")
    d = daemon(node, drains=[("*", peer.url())], env={"SYSLOG_TCP": "true", "SYSLOG_TCP_PORT": "0"})
    container.write(oracle.source("web").take(50))
    oracle.wait_complete(peer, 60, ["web"])
    ask = prometheus(d.port)
    wait_for(lambda: ask("count_over_time(logtrain_drain_sent_bytes_total[5m]) > 2").get("data", {}).get("result"), 120,
             "three scrapes of a drain that has sent")
    for title, expression in queries():
        for variable, value in ("$__rate_interval", "5m"), ("$__range", "5m"), ("$instance", ".*"), ("$drain", ".*"):
            expression = expression.replace(variable, value)
        answer = ask(expression)
        assert answer["status"] == "success", f"{title}: {expression}: {answer}"
        assert answer["data"]["result"] or MAY_BE_EMPTY.search(expression), f"{title}: {expression} has no series"

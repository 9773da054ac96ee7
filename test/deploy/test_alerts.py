"""The alerts: their rules are valid, each fires when it should and only then, each has a section in the runbook, and the daemon
exports each series that they use."""

import re
import shutil
import subprocess

import pytest
import yaml
from lib.daemon import ROOT

FILES = ROOT / "deployments/helm/logtrain/files"
RULES = yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"][0]["rules"]
SOURCES = "".join(p.read_text() for p in (ROOT / "src").rglob("metrics*.c"))
needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed (Debian: prometheus)")


def promtool(*args, stdin=None):
    done = subprocess.run(["promtool", *map(str, args)], input=stdin, capture_output=True, text=True, timeout=300, cwd=FILES)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def series(expression):
    return set(re.findall(r"\b((?:logtrain|process)_\w+)", expression))


@needs_promtool
def test_the_rules_are_valid():
    promtool("check", "rules", "alerts.yaml")


@needs_promtool
def test_each_alert_fires_when_it_should():
    promtool("test", "rules", "alerts_test.yaml")


def test_each_alert_is_tested():
    tests = yaml.safe_load((FILES / "alerts_test.yaml").read_text())["tests"]
    assert sorted(t["name"] for t in tests) == sorted([r["alert"] for r in RULES] + ["well"])
    assert all("well" == t["name"] or t["name"] in str(t["promql_expr_test"][1]) for t in tests)


def test_each_alert_has_its_section_in_the_runbook():
    sections = re.findall(r"^### (\w+)$", (ROOT / "docs/runbook.md").read_text(), re.M)
    assert sections == [r["alert"] for r in RULES]  # in the same order
    for r in RULES:
        assert r["annotations"]["runbook_url"] == f"docs/runbook.md#{r['alert'].lower()}"
        assert r["labels"]["severity"] in ("critical", "warning", "info")
        assert set(r["annotations"]) == {"summary", "description", "runbook_url"}


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r["alert"])
def test_each_series_exists(rule):
    for name in series(rule["expr"]):
        assert f'"{name}"' in SOURCES, name


def test_the_reference_is_made_of_the_tables():
    subprocess.run([ROOT / "scripts/metrics-table", "--check"], check=True)
    page = (ROOT / "docs/metrics.md").read_text()
    assert all(f"`{name}`" in page for r in RULES for name in series(r["expr"]))


@needs_promtool
def test_the_page_passes_promtool(daemon, node, syslog_tcp):
    """Only names kept from the predecessor are exempt."""
    d = daemon(node, drains=[("*", syslog_tcp().url())])
    promtool("check", "metrics", stdin=d.metrics().text)

"""docs/recipes.md: every URL there is one that logtrain takes, and every receiver has one."""

import re
from pathlib import Path

import pytest
from lib.daemon import run

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
URLS = re.findall(r"^    (\S+://\S+)$", PAGE, re.MULTILINE) + re.findall(r"`([a-z0-9+]+://[^` ]+)`", PAGE)


def test_receivers():
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:-1]:
        assert re.search(r"^    \S+://", section, re.MULTILINE), section.split("\n")[0]
    assert len(URLS) >= 20


@pytest.mark.parametrize("url", URLS)
def test_check(url):
    """Placeholders that must be numbers become some."""
    done = run("--check", url.replace(":PORT", ":12345"))
    assert done.returncode == 0, done.stderr
    shown = [] if "passed on" not in done.stdout else re.search("passed on +(.*) \\(to", done.stdout)[1].split(", ")
    assert set(shown) <= {"timestamp-field"}, "no option of ours is sent to the server"
    for secret in re.findall(r"[A-Z-]*(?:TOKEN|PASSWORD|KEY)", url):
        assert secret not in done.stdout

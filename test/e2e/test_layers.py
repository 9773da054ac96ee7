"""scripts/layers, which CI runs over the sources: what it must fail on, in a tree of three files."""

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/layers"
TREE = {
    "base/a.c": "int a(void); int a(void) { return 0; }",
    "base/b.c": "int a(void); int b(void); int b(void) { return a(); }",
    "loop/c.c": "int b(void); int c(void); int c(void) { return b(); }",
}


def layers(root, changed):
    """Compiles the tree with <changed> files, as a release build leaves it, and runs the script on it."""
    (root / "scripts").mkdir()
    shutil.copy(SCRIPT, root / "scripts")
    for name, text in {**TREE, **changed}.items():
        layer, file = name.split("/")
        source, built = root / "src" / name, root / f"build/release/src/{layer}/CMakeFiles/{layer}.dir/{file}.o"
        source.parent.mkdir(parents=True, exist_ok=True)
        built.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(text)
        subprocess.run(["cc", "-c", source, "-o", built], check=True)
    (root / "src/CMakeLists.txt").write_text("foreach(layer base loop)\n")
    return subprocess.run([root / "scripts/layers"], capture_output=True, text=True)


@pytest.mark.parametrize("changed, said, counted", [
    ({}, "", "3 files, 2 arrows, 0 of them up, 0 circles"),
    ({"base/a.c": "int b(void); int a(void); int a(void) { return b(); }"},
     "circle: base/a.c base/b.c", "3 files, 3 arrows, 0 of them up, 1 circles"),
    ({"base/a.c": "int c(void); int a(void); int a(void) { return c(); }", "loop/c.c": "int c(void); int c(void) { return 0; }"},
     "arrow up: base/a.c -> loop/c.c: c", "3 files, 2 arrows, 1 of them up, 0 circles"),
], ids=["in order", "a circle", "an arrow up"])
def test_layers(tmp_path, changed, said, counted):
    run = layers(tmp_path, changed)
    assert run.stdout.strip() == counted
    assert said in run.stderr and bool(run.stderr) == bool(said)
    assert run.returncode == (1 if said else 0)


def test_layers_wants_all_files_built(tmp_path):
    assert layers(tmp_path, {}).returncode == 0
    (tmp_path / "src/loop/d.c").write_text("")
    run = subprocess.run([tmp_path / "scripts/layers"], capture_output=True, text=True)
    assert run.returncode == 2 and "not built: loop/d.c" in run.stderr

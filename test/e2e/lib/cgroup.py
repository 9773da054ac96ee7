"""A memory cgroup for tests that run the daemon within a limit, as in a container. Version 1 or 2; tests skip where none can be
created."""

import contextlib
import os
import re
from pathlib import Path

import pytest

from .daemon import ROOT, SANITIZED

_ROOT = Path("/sys/fs/cgroup")
MIB = 1 << 20


def manifest_limit():
    """The memory limit of deployments/kubernetes, in bytes."""
    manifest = Path(__file__).resolve().parents[3] / "deployments" / "kubernetes" / "daemonset.yaml"
    return max(int(n) for n in re.findall(r" memory: (\d+)Mi", manifest.read_text())) * MIB


def run_the_release(monkeypatch):
    """With a sanitizer, memory figures mean nothing: run the release build instead."""
    if not SANITIZED:
        return
    release = ROOT / "build" / "release" / "logtrain"
    if not release.exists():
        pytest.skip("no release is built: the limit is NOT tested")
    monkeypatch.setattr("lib.daemon.BIN", release)


class MemoryCgroup:
    """<limit> in bytes. run_in() is a command prefix that starts the command in the cgroup."""

    def __init__(self, name, limit):
        v1 = _ROOT / "memory"
        self._v1 = v1.is_dir()
        self.path = (v1 if self._v1 else _ROOT) / f"logtrain-{name}-{os.getpid()}"
        try:
            self.path.mkdir()
            self._write("memory.limit_in_bytes" if self._v1 else "memory.max", limit)
        except OSError as e:
            self.close()
            pytest.skip(f"no memory cgroup can be made here ({e}): the limit is NOT tested")

    def _write(self, name, value):
        (self.path / name).write_text(str(value))

    def run_in(self):
        return ["sh", "-c", f'echo $$ >{self.path}/cgroup.procs && exec "$@"', "sh"]

    def peak(self):
        """Maximum of bytes so far; includes socket buffers of the kernel where these are charged (version 2)."""
        if self._v1:
            return int((self.path / "memory.max_usage_in_bytes").read_text())
        peak = self.path / "memory.peak"
        return int((peak if peak.exists() else self.path / "memory.current").read_text())

    def killed(self):
        events = (self.path / ("memory.oom_control" if self._v1 else "memory.events")).read_text()
        return int(dict(line.split() for line in events.splitlines())["oom_kill"])

    def close(self):
        """No process may be left in it."""
        with contextlib.suppress(OSError):
            self.path.rmdir()

"""The container image, built by scripts/image. It takes minutes and needs packages from the network, so it runs only when it is
asked for."""

import os
import shutil
import subprocess

import pytest
from lib.daemon import ROOT


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.skipif("LOGTRAIN_IMAGE" not in os.environ, reason="the image is built with LOGTRAIN_IMAGE=1 only")
def test_the_image_builds_and_runs():
    for program in ("buildah", "debootstrap"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    done = subprocess.run([ROOT / "scripts/image"], capture_output=True, text=True, timeout=1400)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.splitlines()[-1].startswith("logtrain ")

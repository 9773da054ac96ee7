"""Short versions of scripts/soak: X02 (faults of all kinds) and S01 (SIGKILL under rotation), with the account printed."""

import pytest
from lib.soak import Soak
from lib.sweep import Sweep

pytestmark = pytest.mark.slow


def test_X02_faults_of_all_kinds(tmp_path):
    Soak(seed=1, seconds=20, tmp=tmp_path).run()


def test_S01_twenty_kills(tmp_path):
    Soak(seed=1, kills=20, tmp=tmp_path).run()


def test_S10_a_sample_of_failing_calls():
    Sweep().run(step=7)

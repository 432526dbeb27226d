"""One seed, one run: the digest is the same in one process, in fresh processes, and under every hash seed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.search.campaigns import campaign
from tribulation.harness.run.simulated import simulate
from tribulation.harness.search.draw import searched_plan

SEEDS = (4, 7, 11)
ROOT = Path(__file__).resolve().parents[3]

_PROGRAM = "import sys; from tests.harness.simulator.test_determinism import digest_of; print(*[digest_of(int(s)) for s in sys.argv[1:]])"


def digest_of(seed: int) -> str:
    return simulate(searched_plan(campaign(), seed)).digest


def digests_elsewhere(hash_seed: str, *options: str) -> list[str]:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": "Asia/Tokyo"}
    command = [sys.executable, *options, "-c", _PROGRAM, *map(str, SEEDS)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True, cwd=ROOT)
    return done.stdout.split()


@pytest.fixture(scope="module")
def digests_here() -> list[str]:
    return [digest_of(seed) for seed in SEEDS]


def test_the_same_seed_twice_in_one_process(digests_here):
    random.seed(99)
    assert [digest_of(seed) for seed in SEEDS] == digests_here
    assert len(set(digests_here)) == len(SEEDS)


@pytest.mark.parametrize(("hash_seed", "options"), [("0", ()), ("1", ("-O",)), ("random", ())])
def test_the_same_seed_in_a_fresh_process(digests_here, hash_seed, options):
    assert digests_elsewhere(hash_seed, *options) == digests_here

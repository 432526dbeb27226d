"""One seed, one run: the digest is the same in one process, in fresh processes, and under every hash seed."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest

from tribulation.harness.simulator.soak import draw_plan, run_seed

SEEDS = (4, 7, 11)

_PROGRAM = "import sys; from tribulation.harness.simulator.soak import run_seed; print(*[run_seed(int(s), check_history=False).digest for s in sys.argv[1:]])"


def digests_elsewhere(hash_seed: str, *options: str) -> list[str]:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": "Asia/Tokyo"}
    command = [sys.executable, *options, "-c", _PROGRAM, *map(str, SEEDS)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.split()


@pytest.fixture(scope="module")
def digests_here() -> list[str]:
    return [run_seed(seed, check_history=False).digest for seed in SEEDS]


def test_the_same_seed_twice_in_one_process(digests_here):
    random.seed(99)
    assert [run_seed(seed, check_history=False).digest for seed in SEEDS] == digests_here
    assert len(set(digests_here)) == len(SEEDS)


@pytest.mark.parametrize(("hash_seed", "options"), [("0", ()), ("1", ("-O",)), ("random", ())])
def test_the_same_seed_in_a_fresh_process(digests_here, hash_seed, options):
    assert digests_elsewhere(hash_seed, *options) == digests_here


def test_dropping_a_fault_leaves_the_rest_of_the_plan_as_it_was():
    plan = draw_plan(5)
    assert plan == draw_plan(5)
    kept = tuple(action.number for action in plan.actions[1:])
    fewer = plan.only(kept)
    assert fewer.actions == plan.actions[1:] and fewer.options == plan.options and fewer.config == plan.config

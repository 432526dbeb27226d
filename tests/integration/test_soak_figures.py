"""What the soak calls flat, which processes it watches, and what it calls left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.soak.growth import growth
from benchmarks.soak.leftovers import left_over
from benchmarks.soak.processes import Members, watched
from benchmarks.soak.soak import growths, spans_s

HOUR = list(range(3600))


def noisy(level: float, per_hour: float, noise: float = 1.0) -> list[float]:
    random = Random(7)
    return [level + per_hour * at_s / 3600 + random.gauss(0, noise) for at_s in HOUR]


def sawtooth(per_hour: float) -> list[float]:
    """Fills up by 20 in five minutes, and is collected."""
    return [50 + 20 * (at_s % 300) / 300 + per_hour * at_s / 3600 for at_s in HOUR]


@pytest.mark.parametrize(
    ("values", "flat"),
    [
        (noisy(100, 0), True),
        (noisy(100, 12), True),
        (noisy(100, 60), False),
        (noisy(2, 1), True),
        (sawtooth(0), True),
        (sawtooth(80), False),
        ([100.0] * 1700 + [400.0] * 1900, True),
        ([100 + 60 * (1 - 2.7 ** (-at_s / 300)) for at_s in HOUR], True),
    ],
    ids=["noise", "a little", "a leak", "small", "garbage", "a leak below garbage", "one step", "warming up"],
)
def test_what_is_flat(values, flat):
    found = growth(HOUR, values, least=12)
    assert found is not None and found.flat == flat, found


@given(st.floats(-500, 500), st.floats(1, 1000))
def test_the_slope_of_a_line_is_that_line(per_hour, level):
    found = growth(HOUR, [level + per_hour * at_s / 3600 for at_s in HOUR], least=1)
    assert found is not None and abs(found.per_hour - per_hour) < 1e-3


def test_a_few_samples_report_nothing():
    assert growth(range(15), range(15), least=1) is None and growth([], [], least=1) is None


def row(time_s: float, name: str, rss_mb: float, phase: str = "load") -> dict[str, object]:
    figures = {"rss_bytes": rss_mb * 2**20, "descriptors": 5.0, "threads": 1.0}
    return {"time_s": time_s, "phase": phase, "name": name, "pid": "1", **figures}


def test_the_largest_of_a_role_counts_and_only_under_load():
    rows = [row(at_s, f"node@{host}", 30 + host) for at_s in range(40) for host in (1, 2)]
    rows += [row(40, "node@1", 900, phase="check")]
    found = growths(rows)
    assert found["rss_mb of node"]["highest"] == 32 and found["rss_mb of node"]["flat"]
    assert found["processes of node"]["middle"] == 2
    assert spans_s(rows) == {"load": 40.0, "check": 1.0}


def test_a_process_that_is_there_afterwards_was_left_behind():
    members = Members()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        members.add([process for process in watched(child.pid) if process.pid == child.pid])
        assert members.left() == {"processes": [f"{child.pid} harness"]}
    finally:
        child.communicate(b"\n", timeout=10)
    assert members.left() == {}


def test_the_harness_is_watched_and_others_are_not():
    (own,) = watched(os.getpid())
    assert (own.pid, own.name) == (os.getpid(), "harness")
    assert own.rss_bytes > 2**20 and own.descriptors > 2 and own.threads >= 1


def test_what_was_there_before_is_not_left_over():
    before, after = {"mounts": {"/", "/tmp"}}, {"mounts": {"/", "/srv (fuse)"}}
    assert left_over(before, after) == {"mounts": ["/srv (fuse)"]}
    assert left_over(before, before) == {}

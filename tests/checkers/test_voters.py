"""Which configurations could be in force, of a run with three of them: known by when, and by which entry."""

from __future__ import annotations

import pytest

from tribulation.checkers.base.quorum_weights import weights_of
from tribulation.checkers.raft.voter_timeline import VoterTimeline, _Config

A, B, C = (weights_of({"n1": weight, "n2": 1}) for weight in (1, 2, 3))
UNKNOWN_NS = 100


def timeline() -> VoterTimeline:
    """B is adopted by entry 3 at 10 and surely everywhere from 20 on, C by entry 6 at 30 and from 40 on."""
    configs = [_Config(6, C, 30, 1 << 60), _Config(0, A, -(1 << 60), 20), _Config(3, B, 10, 40)]
    return VoterTimeline(configs, UNKNOWN_NS)


@pytest.mark.parametrize(
    ("start_ns", "end_ns", "possible"),
    [
        (0, 9, [A]),
        (0, 10, [A, B]),
        (20, 29, [A, B]),
        (21, 29, [B]),
        (21, 30, [B, C]),
        (41, 99, [C]),
        (0, 99, [A, B, C]),
        (0, 100, None),
    ],
)
def test_those_of_a_stretch(start_ns: int, end_ns: int, possible: object) -> None:
    assert timeline().during(start_ns, end_ns) == possible


@pytest.mark.parametrize(
    ("index", "until_ns", "possible"),
    [
        (2, 5, [A]),
        (2, 10, [A, B]),
        (3, 5, [A, B]),
        (5, 29, [A, B]),
        (5, 30, [A, B, C]),
        (6, 5, [B, C]),
        (9, 99, [B, C]),
        (9, 100, None),
    ],
)
def test_those_by_which_an_entry_could_be_committed(index: int, until_ns: int, possible: object) -> None:
    assert timeline().for_entry(index, until_ns) == possible


def test_without_any_nothing_is_known() -> None:
    nothing = VoterTimeline([], UNKNOWN_NS)
    assert (nothing.all, nothing.during(0, 1), nothing.for_entry(1, 1)) == ([], None, None)
    assert timeline().all == [A, B, C]

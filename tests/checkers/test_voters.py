"""Which configurations could be in force, of a run with three of them: known by when, and by which entry."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tribulation.checkers.base.quorum_weights import weights_of
from tribulation.checkers.raft.facts import Commits
from tribulation.checkers.raft.voter_timeline import VoterTimeline, _Config, _Superseded

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


def test_configurations_that_were_truncated_hide_none_that_stayed() -> None:
    """Two adoptions after B that no leader committed: their entries were truncated, and B counted on (a false Q1 of a correct node)."""
    lost = [_Config(5, C, 12, 1 << 60, committed=False), _Config(6, C, 15, 1 << 60, committed=False)]
    found = VoterTimeline([_Config(0, A, -(1 << 60), 20), _Config(3, B, 10, 1 << 60), *lost], UNKNOWN_NS)
    assert found.for_entry(9, 50) == [A, B, C]


def test_a_configuration_is_committed_by_a_leader_that_counts_by_it_before_the_next() -> None:
    def line(index: int, weight: int) -> dict[str, object]:
        return {"index": index, "voters": {"n1": weight, "n2": 1}}

    moment = SimpleNamespace(at=SimpleNamespace(low_ns=0, high_ns=0))
    commits = Commits(())
    for index, weight in ((3, 1), (4, 2), (12, 3)):
        commits.add((0, 0, 0, 0), {**line(index, weight), "node": "n1", "match": {}}, 1, 1, None)
    survey = SimpleNamespace(
        configs=[(line(3, 2), moment), (line(5, 3), moment), (line(10, 3), moment)], commits=commits
    )
    superseded = _Superseded(survey)  # type: ignore[arg-type]
    assert [superseded.committed(index, weights) for index, weights in ((3, B), (5, C), (10, C))] == [True, False, True]

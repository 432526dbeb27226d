"""Which configurations could be in force, of a run with three of them: known by when, and by which entry."""

from __future__ import annotations

from collections.abc import Sequence
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


def superseded_by(configs: Sequence[tuple[int, int, int]], committed: Sequence[tuple[int, int, int]]) -> _Superseded:
    """Configurations and commits, each (index, weight of n1, time)."""

    def line(index: int, weight: int) -> dict[str, object]:
        return {"index": index, "voters": {"n1": weight, "n2": 1}}

    commits = Commits(())
    for index, weight, at_ns in committed:
        commits.add((at_ns, at_ns, at_ns, at_ns), {**line(index, weight), "node": "n1", "match": {}}, 1, 1, None)
    moments = [SimpleNamespace(at=SimpleNamespace(low_ns=at_ns, high_ns=at_ns)) for _, _, at_ns in configs]
    adopted = [(line(index, weight), at) for (index, weight, _), at in zip(configs, moments, strict=True)]
    return _Superseded(SimpleNamespace(configs=adopted, commits=commits))  # type: ignore[arg-type]


def test_a_configuration_that_returns_later_is_not_superseded_by_its_own_commits() -> None:
    """The old leader appends B and never commits it; A commits entries past B, is replaced by B and comes back (a false Q2 of a correct node)."""
    superseded = superseded_by([(40, 2, 5), (54, 2, 80), (86, 1, 170)], [(47, 1, 45), (54, 2, 81), (86, 1, 171)])
    assert [superseded.until_ns(index) for index in (0, 40, 54)] == [81, 81, 171]


def test_a_configuration_is_committed_by_a_leader_that_counts_by_it_before_the_next() -> None:
    superseded = superseded_by([(3, 2, 0), (5, 3, 0), (10, 3, 0)], [(3, 1, 0), (4, 2, 0), (12, 3, 0)])
    assert [superseded.committed(index, weights) for index, weights in ((3, B), (5, C), (10, C))] == [True, False, True]

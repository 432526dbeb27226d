"""Searches: what is found does not depend on which processes look or how many do; failures are grouped; mutants come from plans that went somewhere new."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from itertools import count

import pytest

from tribulation.harness.failures.pool import LocalWorkers
from tribulation.harness.failures.signature import Signature
from tribulation.harness.search import corpus as corpora
from tribulation.harness.search import engine
from tribulation.harness.search.corpus import KEPT, Corpus
from tribulation.harness.search.document import document
from tribulation.harness.search.engine import MUTANT_EVERY, OUTSTANDING, Findings, Search, search
from tribulation.harness.search.trial import FAULT_OUTCOMES, Trial

from .campaigns import campaign

FLAWED = campaign("ack-before-majority", duration="1500ms", faults=[])


class Here:
    """Workers that do everything in this process, and pretend to be `size`."""

    def __init__(self, size: int = 1) -> None:
        self.size = size

    def submit(self, work, item):
        future: Future = Future()
        future.set_result(work(item))
        return future

    def died(self, error: BaseException) -> bool:
        return False


def trial(seed: int, *kinds: str, states: tuple[int, ...] = (), verdict: str = "") -> Trial:
    signatures = tuple(Signature("linearizable", *kind.split("/")) for kind in kinds)
    listed = tuple(f"seed {seed}: {kind}" for kind in kinds)
    return Trial(
        seed,
        False,
        {"seed": seed},
        verdict or ("invalid" if kinds else "valid"),
        signatures,
        listed,
        digest="d",
        states=frozenset(states),
    )


def test_failures_are_grouped_by_kind_and_keep_the_first():
    found = Findings()
    for one in (trial(4), trial(5, "stale-read/read", "lost/write", "stale-read/cas"), trial(6, "stale-read/write")):
        found.add(one)
    assert (found.trials, found.failed, found.verdicts) == (3, 2, {"valid": 1, "invalid": 2})
    assert [(group.signature.kind, group.count, group.first.seed, group.explanation) for group in found.in_order()] == [
        ("stale-read", 2, 5, "seed 5: stale-read/read"),
        ("lost", 1, 5, "seed 5: lost/write"),
    ]


def test_faults_are_counted_by_kind_and_outcome():
    found = Findings()
    for one in (
        {("kill", "took_effect"): 2},
        {("kill", "took_effect"): 1, ("kill", "masked"): 4, ("pause", "refused"): 1},
    ):
        found.add(replace(trial(1), faults=one))
    none = dict.fromkeys(FAULT_OUTCOMES, 0)
    reported = document(found, {}, 1.0, False, "tri search")["faults"]
    assert reported == {"kill": {**none, "took_effect": 3, "masked": 4}, "pause": {**none, "refused": 1}}


def test_doubts_and_trials_without_end_are_reported():
    found = Findings()
    found.add(replace(trial(1), verdict="unknown", doubts=("set: 3 reads, nothing to compare",)))
    found.add(replace(trial(3), verdict="unknown", doubts=("set: 15 reads, nothing to compare",)))
    found.add(replace(trial(2), verdict="unknown", doubts=("no end within 300 s",), digest=""))
    assert found.doubts == {"set: N reads, nothing to compare": 2, "no end within N s": 1} and found.unended == [2]


def test_the_corpus_keeps_what_was_somewhere_new():
    corpus = Corpus()
    assert [corpus.add(n, trial(n, states=states)) for n, states in enumerate([(1, 2), (2,), (2, 3)])] == [2, 0, 1]
    assert [entry.place for entry in corpus.entries] == [0, 2]
    assert corpus.parents(7, corpora.AGE) == [] and corpus.parents(7, corpora.AGE + 1) == [{"seed": 0}]


def test_parents_do_not_depend_on_what_came_later():
    early, late = Corpus(), Corpus()
    places = 3 * KEPT
    for n in range(places):
        early.add(n, trial(n, states=(n,)))
    for n in range(places + corpora.AGE):
        late.add(n, trial(n, states=(n,)))
    for seed in range(200):
        assert early.parents(seed, places + corpora.AGE) == late.parents(seed, places + corpora.AGE) != []


def test_plans_with_more_new_states_are_chosen_more_often():
    corpus = Corpus()
    corpus.add(0, trial(0, states=tuple(range(90))))
    corpus.add(1, trial(1, states=tuple(range(100))))
    chosen = [corpus.parents(seed, 1000)[0]["seed"] for seed in range(400)]
    assert 20 < sum(chosen) < 70


def without_times(findings: Findings) -> Findings:
    groups = {
        name: replace(group, first=replace(group.first, simulate_s=0.0, check_s=0.0))
        for name, group in findings.groups.items()
    }
    return replace(findings, groups=groups, simulate_s=0.0, check_s=0.0)


SEEDS = range(100, 114)
YOUNG = 4
"""Plans become parents sooner in these tests, so that few trials do."""


@pytest.fixture(autouse=True, scope="module")
def parents_are_young() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpora, "AGE", YOUNG)
        patch.setattr(engine, "AGE", YOUNG)
        yield


@pytest.fixture(scope="module")
def alone(parents_are_young: None) -> Findings:
    found = Findings()
    assert [one.seed for one in search(Here(), Search(FLAWED, SEEDS), found)] == list(SEEDS)
    return found


def test_a_search_finds_a_flaw_and_tries_mutants(alone: Findings):
    assert (
        alone.trials == len(SEEDS)
        and alone.groups
        and alone.mutants == sum(place > YOUNG for place in range(MUTANT_EVERY - 1, len(SEEDS), MUTANT_EVERY))
    )
    assert sum(alone.verdicts.values()) == len(SEEDS) and len(alone.corpus.states) > 100
    assert alone.operations > 300 and alone.core_events > 5_000 and alone.simulate_s > 0


def test_other_numbers_of_workers_find_the_same(alone: Findings):
    many = Findings()
    for _ in search(Here(size=40), Search(FLAWED, SEEDS), many):
        pass
    assert without_times(many) == without_times(alone)


def test_processes_find_the_same(alone: Findings):
    found = Findings()
    with LocalWorkers(2) as workers:
        for _ in search(workers, Search(FLAWED, SEEDS), found):
            pass
    assert without_times(found) == without_times(alone)


def test_a_search_by_time_ends_when_the_time_is_over():
    """The time that processors worked: how long it takes on a busy machine is another matter."""
    found = Findings()
    trials = list(search(Here(), Search(FLAWED, count(), time_s=1.5), found))
    assert found.cpu_s >= 1.5 and sum(one.simulate_s + one.check_s for one in trials[:-OUTSTANDING]) < 1.5


def test_a_search_until_something_is_found_ends_then():
    found = Findings()
    trials = list(search(Here(), Search(FLAWED, count(), until_found=True), found))
    assert found.failed and not any(one.failed for one in trials[:-OUTSTANDING])


def test_without_a_swarm_every_plan_is_the_campaigns():
    found = Findings()
    trials = list(search(Here(), Search(FLAWED, range(3), swarm=False), found))
    assert found.mutants == 0 and all(one.plan["world"] == {} for one in trials)

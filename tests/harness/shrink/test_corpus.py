"""Every failure of the corpus is found again: by its plan in the simulator, and in its recorded history; without the flaw nothing is wrong."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tribulation.checkers import Budget, RunRecord, check
from tribulation.harness.errors import CampaignError
from tribulation.harness.failures.signature import Signature, fails_alike, signatures
from tribulation.harness.run.outcome.verdict import judge_record
from tribulation.harness.run.simulated import simulate, without_flaws
from tribulation.harness.shrink import edits
from tribulation.harness.shrink.corpus import Entry, entries, find_again, keep, read_entry

CORPUS = Path(__file__).parents[3] / "histories" / "corpus"
ENTRIES = list(entries(CORPUS))
NEEDS_TRACES = frozenset({"quorum", "split-brain", "raft-safety", "convergence", "availability", "recovery"})
"""Checkers that look at more than the history."""


def ids(some: Sequence[Entry]) -> list[str]:
    return [entry.name for entry in some]


def test_it_holds_at_least_ten_different_failures() -> None:
    assert len({(entry.signature, entry.flaws) for entry in ENTRIES}) == len(ENTRIES) >= 10


@pytest.mark.parametrize("entry", ENTRIES, ids=ids(ENTRIES))
def test_the_plan_fails_as_it_did(entry: Entry) -> None:
    found = find_again(entry)
    assert found is not None, f"tri shrink histories/corpus/{entry.name} says more; {CORPUS / 'README.md'} what to do"
    if entry.same_sources:
        assert found.digest == entry.digest


@pytest.mark.parametrize("entry", ENTRIES, ids=ids(ENTRIES))
def test_without_its_flaw_nothing_is_wrong(entry: Entry) -> None:
    assert list(entry.plan.options["system"]["flaws"]) == list(entry.flaws) != []
    done = simulate(without_flaws(entry.plan))
    judged = judge_record(done.record, done.facts, Budget(time_s=20), entry.name)
    assert signatures(judged.results, done.record.history) == []


HISTORIES = [entry for entry in ENTRIES if entry.signature.checker not in NEEDS_TRACES]


@pytest.mark.parametrize("entry", HISTORIES, ids=ids(HISTORIES))
def test_the_recorded_history_is_still_wrong(entry: Entry) -> None:
    name = entry.signature.checker
    results = check(RunRecord(entry.history), [name])
    assert fails_alike(entry.signature, signatures(results, entry.history))


@pytest.mark.parametrize("entry", ENTRIES, ids=ids(ENTRIES))
def test_it_is_small(entry: Entry) -> None:
    assert len(entry.plan.intents) <= 6
    assert len(edits.operations(entry.plan)) <= 12


def test_an_entry_that_is_kept_is_read_back(tmp_path: Path) -> None:
    first = ENTRIES[0]
    folder = keep(first.plan, first.signature, "again", tmp_path)
    again = read_entry(folder)
    assert again.plan == first.plan and again.signature == first.signature and again.same_sources
    assert json.loads((folder / "expected.json").read_text(encoding="utf-8"))["story"]
    assert find_again(again) is not None


@pytest.mark.parametrize("name", ["", "Upper", "../out", "a b"])
def test_a_bad_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="cannot be named"):
        keep(ENTRIES[0].plan, ENTRIES[0].signature, name, tmp_path)


def test_a_plan_that_does_not_fail_so_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="does not fail by linearizable/no-such-kind"):
        keep(ENTRIES[0].plan, Signature("linearizable", "no-such-kind"), "wrong", tmp_path)


def test_a_spoilt_entry_is_refused_with_its_place(tmp_path: Path) -> None:
    spoilt = tmp_path / "expected.json"
    spoilt.write_text('{\n"flaws": [,', encoding="utf-8")
    with pytest.raises(CampaignError, match=rf"^{re.escape(str(spoilt))}:2: not JSON"):
        read_entry(tmp_path)


def test_an_entry_that_lacks_something_is_refused_with_its_place(tmp_path: Path) -> None:
    folder = shutil.copytree(CORPUS / ENTRIES[0].name, tmp_path / "entry")
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    del expected["signature"]
    (folder / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
    with pytest.raises(
        CampaignError, match=rf"^{re.escape(str(folder))}: no entry of the corpus: KeyError: 'signature'"
    ):
        read_entry(folder)

"""The ledger: what is written first, what a crash leaves, and what becomes of it as faults for the checkers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.histories.test_full_disk import files_of_at_most
from tribulation.checkers.base.result import Fault
from tribulation.harness.errors import CampaignError, FaultError
from tribulation.harness.nemesis.faults.fault import Intent, Observation, Resolved
from tribulation.harness.nemesis.faults.ledger import Ledger, read_ledger, read_lines, readable_lines

EDGES = {"edges": [["n1", "n2"]]}


def cut(name: str) -> Resolved:
    return Resolved(Intent(name, "cut", {"shape": "one-way"}, 5, 10, name), EDGES)


def test_a_whole_story_becomes_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        ledger.intended(cut("a"), 5)
        assert read_lines(path)[0]["what"] == EDGES, "on disk before anything is done"
        ledger.step("injected", cut("a"), 6)
        ledger.observed("verified", cut("a"), 7, Observation(True, {"edges": [["n1", "n2"]], "verify_ms": 1.5}))
        ledger.step("healing", cut("a"), 15)
        ledger.observed("healed", cut("a"), 16, Observation(True, {"edges": []}))
    seen = {"edges": [["n1", "n2"]], "verify_ms": 1.5}
    assert read_ledger(path) == [Fault("a", "cut", EDGES, seen, True, 5, 6, 15, 16, 7)]


def test_a_heal_that_was_not_seen_to_take_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        ledger.intended(cut("a"), 5)
        ledger.step("injected", cut("a"), 6)
        ledger.step("healing", cut("a"), 15)
        ledger.observed("healed", cut("a"), 16, Observation(False, {"edges": [["n1", "n2"]]}))
    assert [fault.undone for fault in read_ledger(path)] == [False]


def test_a_heal_that_was_seen_later_is_over_then(tmp_path: Path) -> None:
    """A host was off when its clock was healed, and was looked at when it was back."""
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        ledger.intended(cut("a"), 5)
        ledger.step("injected", cut("a"), 6)
        ledger.step("healing", cut("a"), 15)
        ledger.observed("healed", cut("a"), 16, Observation(False, {"hidden_by": ["power"]}))
        ledger.observed("healed", cut("a"), 30, Observation(True, {"edges": []}))
    (fault,) = read_ledger(path)
    assert (fault.undone, fault.heal_ns, fault.healed_ns) == (True, 15, 30)


def test_a_fault_that_lapsed_is_not_verified(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        ledger.intended(cut("a"), 5)
        ledger.step("injected", cut("a"), 6)
        ledger.observed("verified", cut("a"), 7, Observation(True, {"edges": []}))
        ledger.step("healing", cut("a"), 15)
        ledger.observed("healed", cut("a"), 16, Observation(True, {"lapsed": True}))
    (fault,) = read_ledger(path)
    assert not fault.verified and fault.observed == {"edges": [], "lapsed": True}


def test_a_crash_leaves_a_torn_line_and_an_open_fault(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        ledger.intended(cut("a"), 5)
        ledger.failed(cut("a"), 6, "n1 is gone")
        ledger.intended(cut("b"), 7)
        ledger.step("injected", cut("b"), 8)
    with path.open("a") as file:
        file.write('{"time": 9, "phase": "veri')
    assert read_ledger(path) == [Fault("a", "cut", EDGES, None, False, 5), Fault("b", "cut", EDGES, None, False, 7, 8)]


@pytest.mark.parametrize(
    "line",
    ["nonsense", "[]", "{}", json.dumps({"time": "x", "phase": "intended"}), json.dumps({"time": 1, "phase": "odd"})],
)
def test_a_line_that_is_none_is_an_error_with_its_place(tmp_path: Path, line: str) -> None:
    """The first line of the file is its version, the second the fault."""
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        ledger.intended(cut("a"), 5)
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(CampaignError, match=r"ledger.jsonl:3: no ledger line"):
        read_ledger(path)


def test_no_fault_begins_that_the_disk_did_not_take_and_those_that_are_on_can_be_undone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        ledger.intended(cut("a"), 5)
        ledger.step("injected", cut("a"), 6)
        with files_of_at_most(path.stat().st_size + 10):
            ledger.step("healing", cut("a"), 15)
            with pytest.raises(FaultError, match="a fault is injected only after it is in the ledger"):
                ledger.intended(cut("b"), 20)
        ledger.observed("healed", cut("a"), 16, Observation(True, {"edges": []}))
        assert ledger.failure is not None
    lines, wrong = readable_lines(path)
    assert [line["phase"] for line in lines] == ["intended", "injected"] and wrong == "its last line is cut"

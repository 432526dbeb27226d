"""What keeps a run without a finding from being valid, and when each node answered last."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tribulation.checkers import Fault, Gap, RunRecord
from tribulation.harness.run.outcome.doubts import doubts_of, last_ok_ms, silent_after_heal
from tribulation.histories import NEMESIS, Event, History, Type

MS = 1_000_000


def history(*events: tuple[int, str, Type]) -> History:
    """(ms, node, type) of operations of one process a node."""
    return History(
        Event(at, ms * MS, int(node[1:]), type, "read", node=node) for at, (ms, node, type) in enumerate(events)
    )


def healed_all(verified: bool, f: str = "healed-all") -> History:
    value: dict[str, Any] = {"verified": verified, "observed": {}}
    return History([Event(0, 90 * MS, NEMESIS, Type.INFO, f, value)])


ON = Fault("kill-1", "kill", {"nodes": ["n1"]}, {"nodes": ["n1"]}, True, 1, injected_ns=2)
UNSEEN = replace(ON, heal_ns=5, healed_ns=6, undone=False)
OVER = replace(UNSEEN, undone=True)


@pytest.mark.parametrize(
    ("fault", "seen", "not_undone"),
    [
        (ON, False, ["kill-1"]),
        (UNSEEN, False, ["kill-1"]),
        (OVER, False, []),
        # The look at all processes after the last heal saw it running, so that it is over.
        (UNSEEN, True, []),
        (ON, True, []),
        # That look sees no clocks.
        (replace(UNSEEN, kind="clock"), True, ["kill-1"]),
        (replace(ON, injected_ns=None), False, []),
        (replace(ON, kind="voters"), False, []),
    ],
)
def test_a_fault_that_was_not_seen_undone(fault: Fault, seen: bool, not_undone: list[str]) -> None:
    record = RunRecord(healed_all(seen), faults=[fault], is_run=True)
    doubts = doubts_of(record)
    assert list(doubts.not_undone) == not_undone
    assert doubts.sentences == [f"fault {name} was not seen undone" for name in not_undone]
    simulated = replace(record, history=healed_all(seen, "healed"))
    assert list(doubts_of(simulated).not_undone) == not_undone
    assert list(doubts_of(replace(record, is_run=False)).not_undone) == [], "a bare history is judged without it"


DISK = replace(UNSEEN, kind="disk", intended={"nodes": ["n1"], "effect": "full"})


@pytest.mark.parametrize(
    ("fault", "disks", "verified", "is_over"),
    [
        (DISK, {"n1": [], "n2": ["full"]}, True, True),
        (DISK, {"n1": ["full"]}, True, False),
        # On hosts no disk is looked at after the last heal.
        (DISK, None, True, False),
        (DISK, {"n2": []}, True, False),
        (DISK, {"n1": []}, False, False),
        (replace(DISK, intended={"effect": "full"}), {"n1": []}, True, False),
        # Its old files are put back by the heal: that a disk is good does not show that they were.
        (replace(DISK, intended={"nodes": ["n1"], "effect": "old-files"}), {"n1": []}, True, False),
    ],
)
def test_a_disk_that_was_seen_to_be_good_after_the_last_heal(
    fault: Fault, disks: dict[str, list[str]] | None, verified: bool, is_over: bool
) -> None:
    value = {"fault": None, "verified": verified, "observed": {} if disks is None else {"disks": disks}}
    reported = History([Event(0, 90 * MS, NEMESIS, Type.INFO, "healed", value)])
    assert list(doubts_of(RunRecord(reported, faults=[fault], is_run=True)).not_undone) == (
        [] if is_over else ["kill-1"]
    )


@pytest.mark.parametrize(
    ("kind", "observed", "is_over"),
    [
        ("link", {"altered": []}, True),
        ("clog", {"altered": []}, True),
        ("link", {"altered": [["n1", "n2"]]}, False),
        ("link", {}, False),
        # It may be in the half of its period in which it carries everything.
        ("flap", {"altered": []}, False),
        ("reset", {"altered": []}, False),
    ],
)
def test_links_that_were_seen_to_be_good_after_the_last_heal(
    kind: str, observed: dict[str, Any], is_over: bool
) -> None:
    reported = History(
        [Event(0, 90 * MS, NEMESIS, Type.INFO, "healed", {"fault": None, "verified": True, "observed": observed})]
    )
    fault = replace(UNSEEN, kind=kind, intended={"edges": [["n1", "n2"]]})
    assert list(doubts_of(RunRecord(reported, faults=[fault], is_run=True)).not_undone) == (
        [] if is_over else ["kill-1"]
    )


def test_gaps_that_concern_the_whole_run() -> None:
    gaps = [Gap(part, "x", "is missing") for part in ("run", "plan", "harness", "history", "ledger", "trace", "log")]
    doubts = doubts_of(RunRecord(History(()), gaps=gaps, is_run=True))
    assert doubts.sentences == ["evidence is missing: x: is missing"] * 5 and len(doubts.gaps) == 7


def test_the_last_ok_of_each_node_and_who_was_silent_after_the_heal() -> None:
    ok, fail, begun = Type.OK, Type.FAIL, Type.INVOKE
    found = history(
        (1, "n1", begun), (2, "n1", ok), (3, "n2", begun), (4, "n2", ok), (5, "n3", begun), (6, "n3", fail),
        (11, "n1", begun), (12, "n1", fail), (13, "n2", begun), (14, "n2", ok),
    )  # fmt: skip
    assert last_ok_ms(found) == {"n1": 2.0, "n2": 14.0}
    record = RunRecord(found, phases={"healed": 10 * MS}, is_run=True)
    assert silent_after_heal(record) == ["n1"], "n3 was not asked any more"
    assert silent_after_heal(replace(record, phases={})) == []


def test_a_campaign_of_which_no_fault_took_place_proves_nothing():
    record = RunRecord(history(), is_run=True)
    assert doubts_of(record, skipped=2).sentences == ["no fault took place: all 2 were skipped"]
    assert doubts_of(record).sentences == []
    assert doubts_of(replace(record, faults=[OVER]), skipped=2).sentences == []


@pytest.mark.parametrize(
    ("kind", "still", "is_over"),
    [
        ("cpu", {"cpu": []}, True),
        ("cpu", {"cpu": ["n2"]}, True),
        ("cpu", {"cpu": ["n1"]}, False),
        ("clock", {"cpu": []}, False),
        ("membership", {"membership": []}, True),
    ],
)
def test_the_simulator_knows_what_is_still_in_force(kind: str, still: dict[str, list[str]], is_over: bool) -> None:
    fault = Fault("f-1", kind, {"nodes": ["n1"]}, {}, True, 0, 0, 1, 2, undone=False)
    observed = {"unreachable": [], "processes": {}, "disks": {}, "altered": [], "still": still}
    value = {"fault": None, "verified": True, "observed": observed}
    reported = History([Event(0, 5, NEMESIS, Type.INFO, "healed", value=value)])
    assert list(doubts_of(RunRecord(reported, faults=[fault], is_run=True)).not_undone) == ([] if is_over else ["f-1"])

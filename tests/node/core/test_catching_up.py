"""What is committed at once, as after a restart, is applied over many steps: none grows with the log, and nothing is answered from a state that is behind."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.node.core.application import state_machine
from tribulation.node.core.interface.entry import Entry, make_entry
from tribulation.node.core.interface.messages import AppendEntries, Heartbeat

from .solo import Solo

ENTRIES = 500


def entries(last: int) -> tuple[Entry, ...]:
    commands: list[list[Any]] = [["noop"], ["sessions.open"]]
    commands += [["kv.tx", 2, seq, [["append", "k", seq]]] for seq in range(1, last - 1)]
    return tuple(make_entry(index, 1, command) for index, command in enumerate(commands, 1))


@pytest.fixture
def behind(monkeypatch: pytest.MonkeyPatch) -> Solo:
    """A follower that holds 500 entries and has just learnt that all of them are committed; a step applies about ten."""
    monkeypatch.setattr(state_machine, "AT_ONCE", 1500)
    solo = Solo(snapshot_threshold=100)
    solo.receive("n2", AppendEntries(1, 0, 0, entries(ENTRIES), 0))
    solo.receive("n2", Heartbeat(1, 1, ENTRIES))
    return solo


def test_a_step_applies_a_part_and_the_next_ones_the_rest(behind: Solo) -> None:
    assert behind.status()["commit"] == ENTRIES and 0 < behind.status()["applied"] < 20
    steps: list[int] = []
    while behind.status()["applied"] < ENTRIES:
        before = behind.status()["applied"]
        behind.pass_time(0)
        steps.append(behind.status()["applied"] - before)
        assert steps[-1] > 0
        if len(steps) > 2:
            break
    behind.pass_time(1)
    assert behind.status()["applied"] == ENTRIES
    applied = [entry[0] for fields in behind.traced("apply") for entry in fields["entries"]]
    assert applied == list(range(1, ENTRIES + 1)), "each once, in order"
    assert max(len(fields["entries"]) for fields in behind.traced("apply")) < 20
    assert behind.ask(ops=[["r", "k"]], level="stale")[0]["results"] == [list(range(1, ENTRIES - 1))]


def test_entries_that_are_committed_meanwhile_follow(behind: Solo) -> None:
    more = tuple(make_entry(ENTRIES + i, 1, ["kv.tx", 2, ENTRIES + i, [["append", "k", -i]]]) for i in (1, 2))
    behind.receive("n2", AppendEntries(1, ENTRIES, 1, more, ENTRIES + 2))
    assert behind.status()["applied"] < ENTRIES
    behind.pass_time(5)
    assert behind.status()["applied"] == ENTRIES + 2
    assert behind.ask(ops=[["r", "k"]], level="stale")[0]["results"][0][-3:] == [ENTRIES - 2, -1, -2]


def test_no_snapshot_is_taken_of_a_state_that_is_behind(behind: Solo) -> None:
    assert behind.traced("snapshot") == []
    behind.pass_time(5)
    more = (make_entry(ENTRIES + 1, 1, ["noop"]),)
    behind.receive("n2", AppendEntries(1, ENTRIES, 1, more, ENTRIES + 1))
    assert [fields["index"] for fields in behind.traced("snapshot")] == [ENTRIES + 1]


def test_a_sequential_read_waits_for_what_its_client_has_seen(behind: Solo) -> None:
    assert behind.ask(ops=[["r", "k"]], level="sequential", seen=ENTRIES) == []
    behind.pass_time(5)
    assert behind.replies[0]["results"][0][-1] == ENTRIES - 2

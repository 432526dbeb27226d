"""A small request must not cost much: what a transaction reads and makes is bounded, and so is what sessions remember of it."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.node.core.application import sessions
from tribulation.node.core.application.kv import KeyValue, Mismatch, characters, same
from tribulation.node.core.interface.entry import canonical
from tribulation.node.flaws.switch import Flaws

from .disk import Disk
from .solo import Solo


def leader(disk: Disk | None = None, incarnation: int = 1) -> Solo:
    solo = Solo(nodes=1, disk=disk, incarnation=incarnation)
    solo.pass_time(3000)
    return solo


def opened(solo: Solo) -> int:
    (answer,) = solo.ask(open=True)
    return int(answer["session"])


def asked(solo: Solo, **body: Any) -> dict[str, Any]:
    (answer,) = solo.ask(**body)
    return answer


def test_results_that_fit_no_reply_are_refused_and_change_nothing() -> None:
    """15 KB asked for 120 MiB of memory on every node, kept as the session's answer."""
    solo = leader()
    asked(solo, session=opened(solo), seq=1, ops=[["w", "k", [0] * 60_000]])
    before = asked(solo, admin="digest")["digest"]
    session = opened(solo)
    for seq, ops in enumerate([[["append", "k", 0]] * 256, [["r", "k"]] * 256 + [["w", "l", 1]]], 1):
        answer = asked(solo, session=session, seq=seq, ops=ops[-256:])
        assert (answer["status"], answer["error"]) == ("fail", "reply-too-large")
    assert asked(solo, ops=[["r", "l"]])["results"] == [None]
    assert len(asked(solo, ops=[["r", "k"]])["results"][0]) == 60_000
    assert before != asked(solo, admin="digest")["digest"], "the session remembers that it was refused"


@pytest.mark.parametrize("level", ["linearizable", "stale"])
def test_reads_that_fit_no_reply_are_refused(level: str) -> None:
    solo = leader()
    asked(solo, session=opened(solo), seq=1, ops=[["w", "k", "x" * 100_000]])
    answer = asked(solo, ops=[["r", "k"]] * 256, level=level)
    assert (answer["status"], answer["error"]) == ("fail", "reply-too-large")
    assert asked(solo, ops=[["r", "k"]] * 9, level=level)["status"] == "ok"


def test_a_list_grows_only_as_long_as_it_can_be_read() -> None:
    store = KeyValue(Flaws())
    for _ in range(20):
        done, _ = store.transact([["append", "k", "x" * 100_000]])
    assert not isinstance(done, list)
    read = store.read([["r", "k"]])
    assert isinstance(read, list) and len(read[0]) == 9


def test_sessions_remember_a_bounded_amount_and_agree_after_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "LARGE_REPLIES_CHARACTERS", 550_000)
    solo = leader()
    asked(solo, session=opened(solo), seq=1, ops=[["w", "k", "x" * 100_000]])
    numbers = [opened(solo) for _ in range(6)]
    for session in numbers:
        asked(solo, session=session, seq=1, ops=[["r", "k"], ["w", "l", session]])
    again = [asked(solo, session=session, seq=1, ops=[["r", "k"], ["w", "l", session]]) for session in numbers]
    assert [answer["status"] for answer in again] == ["info", "ok", "ok", "ok", "ok", "ok"]
    assert again[0]["error"] == "superseded"
    assert asked(solo, ops=[["r", "l"]])["results"] == [numbers[-1]]
    digest = asked(solo, admin="digest")["digest"]
    assert asked(leader(solo.disk, 2), admin="digest")["digest"] == digest


def test_restored_sessions_weigh_what_they_did() -> None:
    """The nodes that restore a snapshot forget the same answers as those that applied the log."""
    ours, theirs = sessions.Sessions(Flaws()), sessions.Sessions(Flaws())
    for index in range(1, 5):
        ours.open(index)
        ours.remember(index, 1, {"status": "ok", "results": ["é" * 1000 * index]}, characters("é" * 1000 * index))
    ours.answered(1, 1)
    theirs.restore(ours.dump())
    assert (theirs._large, theirs._large_total) == (ours._large, ours._large_total)
    assert list(ours._large) == [2, 3, 4, 1]


VALUES = [0, -1, 10**30, 1.5, "", "é\n", None, True, [], [1], [[], {}], {"a": [1, 2]}, "x" * 99, [7] * 99]


def test_the_size_of_a_value_is_that_of_its_text_however_it_was_made() -> None:
    store = KeyValue(Flaws())
    for value in VALUES:
        assert characters(value) == len(canonical(value))
        for op in (["w", "k", value], ["append", "list", value], ["cas", "k", value, [value]], ["r", "list"]):
            results, size = store.transact([op])
            assert isinstance(results, list) and size == len(canonical(results[0]))
            assert all(store._size(key) == len(canonical(store.dump()[key])) for key in store.dump())


def test_a_cas_compares_json_values() -> None:
    """Checkers take 1 and 1.0 for one value: a mismatch between them made a correct node invalid."""
    for one, other in [(1, 1.0), ([1, {"a": 0}], [1.0, {"a": -0.0}]), ([True], [True]), ("1", "1"), (None, None)]:
        assert same(one, other) and same(other, one)
    for one, other in [(1, True), (0, False), ([1], [True]), (1, "1"), ([], {}), ({"a": 1}, {"b": 1}), ([1], [1, 1])]:
        assert not same(one, other) and not same(other, one)
    assert not same(2**53 + 1, float(2**53))
    store = KeyValue(Flaws())
    store.transact([["w", "k", 1]])
    assert not isinstance(store.transact([["cas", "k", 1.0, 2]])[0], Mismatch)

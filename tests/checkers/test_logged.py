"""A history's operations as arrays say the same, whether they come from columns or from the operations themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.full import examples
from tribulation.checkers import CheckResult, RunRecord, check
from tribulation.checkers.base import logged
from tribulation.checkers.base.logged import Logged, logged_of, of_operations
from tribulation.harness.run.outcome.doubts import last_ok_ms
from tribulation.histories import NEMESIS, Event, History, Type, canonical, read_history, write_history
from tribulation.histories.files import files
from tribulation.histories.model.columns import ABSENT, NO_NUMBER

NAMES = st.sampled_from(["n1", "n2", "n3"])
SESSIONS = st.none() | st.integers(0, 2) | st.sampled_from(["a", "1"])
NUMBERS = st.none() | st.integers(0, 9) | st.just(2**61)
EXTRA = st.fixed_dictionaries(
    {},
    optional={
        "log_index": NUMBERS,
        "term": NUMBERS,
        "served_by": st.none() | NAMES,
        "session": SESSIONS,
        "seq": NUMBERS,
        "stale": st.booleans(),
        "effect": st.none() | st.sampled_from(["reads", "changes", "neither", "other"]),
        "deadline_ms": st.integers(0, 9),
        "ts": st.integers(0, 9),
    },
)
KINDS = ["read", "write", "cas", "txn", "dequeue", "learn", "recall", "final-read"]
ERRORS = [None, "mismatch", "empty", "queue-empty", "timeout"]
LEVELS = st.sampled_from([None, "linearizable", "stale", "eventual"])


@st.composite
def histories(draw: Any, extra: Any = EXTRA) -> list[Event]:
    found: list[Event] = []
    for number in range(draw(st.integers(0, 8))):
        f, key = draw(st.sampled_from(KINDS)), draw(st.none() | st.sampled_from(["a", 1, 1.5]))
        asked = draw(st.sampled_from([[["r", 1, None]], [["w", 1, 2], ["r", 1, None]], []])) if f == "txn" else None
        about = {"key": key, "workload": draw(st.sampled_from([None, "w"])), "level": draw(LEVELS)}
        found.append(_event(draw, extra, number, Type.INVOKE, f, asked, about))
        end = draw(st.sampled_from([Type.OK, Type.FAIL, Type.INFO, None]))
        if end is not None:
            found.append(_event(draw, extra, number, end, f, asked, about, draw(st.sampled_from(ERRORS))))
    return [_numbered(event, place) for place, event in enumerate(found)]


def _event(draw: Any, extra: Any, process: int, kind: Type, f: str, value: Any, about: Any, error: Any = None) -> Event:
    node = draw(st.none() | NAMES)
    return Event(0, 0, process, kind, f, value, **about, node=node, error=error, extra=draw(extra))


def _numbered(event: Event, place: int) -> Event:
    return Event(place, place * 10, *(getattr(event, name) for name in list(event.__slots__)[2:]))


def _plain(view: Logged) -> dict[str, Any]:
    """What a view says, without its ids."""

    def named(ids: Any, table: Any) -> list[Any]:
        return [None if number == ABSENT else table[number] for number in ids.tolist()]

    arrays = {name: getattr(view, name) for name in Logged.__slots__ if isinstance(getattr(view, name), np.ndarray)}
    tables = {
        "node": view.names,
        "server": view.names,
        "effect": view.names,
        "command": view.commands,
        "key": view.keys,
        "f": view.f_names,
    }
    tables |= {"workload": view.workloads}
    return {name: named(ids, tables[name]) if name in tables else ids.tolist() for name, ids in arrays.items()}


def _read_as_columns(tmp_path: Path, events: list[Event]) -> History:
    path = tmp_path / "history.jsonl"
    write_history(path, events)
    return read_history(path, of_run=True)


@pytest.fixture
def all_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGE_BYTES", 0)


@pytest.mark.usefixtures("all_large")
@given(histories())
@settings(max_examples=examples(300), deadline=None)
def test_columns_say_what_operations_say(tmp_path_factory: pytest.TempPathFactory, events: list[Event]) -> None:
    history = _read_as_columns(tmp_path_factory.mktemp("h"), events)
    found = _plain(logged_of(history))
    assert not history.loaded or not events
    assert found == _plain(of_operations(history.operations()))


@pytest.mark.usefixtures("all_large")
@pytest.mark.parametrize(
    "extra",
    [{"log_index": 1.0}, {"term": True}, {"seq": "a"}, {"session": [1]}, {"stale": "yes"}, {"log_index": 2**63}],
    ids=str,
)
def test_fields_of_unusual_types_are_left_to_the_operations(tmp_path: Path, extra: dict[str, Any]) -> None:
    events = [Event(0, 0, 1, Type.INVOKE, "write", 1), Event(1, 5, 1, Type.OK, "write", 1, extra=extra)]
    history = _read_as_columns(tmp_path, events)
    assert history.columns.replies is None
    assert history.loaded is False


@pytest.mark.usefixtures("all_large")
def test_the_nemesis_alone_is_known_as_events(tmp_path: Path) -> None:
    reported = Event(1, 5, NEMESIS, Type.INFO, "healed", {"verified": True}, extra={"more": 1})
    events = [Event(0, 0, 1, Type.INVOKE, "write", 1), reported, Event(2, 6, 1, Type.OK, "write", 1)]
    history = _read_as_columns(tmp_path, events)
    assert history.nemesis == (reported,)
    assert history.loaded is False
    assert history.nemesis == tuple(event for event in history.events if event.process == NEMESIS)


def test_rows_are_chosen_with_their_operations() -> None:
    ops = History([Event(0, 0, 1, Type.INVOKE, "write", 1), Event(1, 1, 2, Type.INVOKE, "read", None)]).operations()
    view = logged.of_operations(ops)
    reads = view.only(view.of("read"))
    assert [op.f for op in reads.operations()] == ["read"]
    assert reads.complete_ns.tolist() == [NO_NUMBER]
    assert canonical("write") in view.f_names


@pytest.mark.usefixtures("all_large")
@given(histories())
@settings(max_examples=examples(150), deadline=None)
def test_checkers_of_a_run_find_the_same_without_objects(
    tmp_path_factory: pytest.TempPathFactory, events: list[Event]
) -> None:
    voters = {"n1": 1, "n2": 1, "n3": 1}
    states = {node: {"index": 1, "digest": "2:00"} for node in voters}

    def found(history: History) -> dict[str, CheckResult]:
        record = RunRecord(
            history, nodes=list(voters), voters=voters, final_states=states, phases={"quiet_end": 60}, is_run=True
        )
        return check(record, ["quorum", "split-brain", "final-reads", "vacuity", "convergence"])

    history = _read_as_columns(tmp_path_factory.mktemp("h"), events)
    assert repr(found(history)) == repr(found(History(events)))
    assert last_ok_ms(_read_as_columns(tmp_path_factory.mktemp("h"), events)) == last_ok_ms(History(events))

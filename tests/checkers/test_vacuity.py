"""What distinguishes a fault that did nothing from one that could not show, and one that no operation met from one of several."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.checkers import CheckResult, Fault, RunRecord, Verdict, checker
from tribulation.checkers.base.logged import of_operations
from tribulation.checkers.base.operation_counts import Crowd
from tribulation.checkers.base.result import Budget
from tribulation.checkers.faults.kinds import called
from tribulation.checkers.faults.masked import AFTERMATH_NS, masked
from tribulation.histories import History, Operation, Type, parse, read_history

from .test_run_figures import history
from .trace_book import MS

NODES = ("n1", "n2", "n3")


def fault(name: str, kind: str, from_ms: int, to_ms: int, nodes: tuple[str, ...] = ("n1",), **more: Any) -> Fault:
    """Seen right away; verified unless it says what it hid behind."""
    hidden_by = more.pop("hidden_by", None)
    observed = more.pop("observed", {} if hidden_by is None else {"hidden_by": hidden_by})
    known: dict[str, Any] = {
        "verified": hidden_by is None,
        "injected_ns": from_ms * MS,
        "seen_ns": from_ms * MS,
        "heal_ns": to_ms * MS,
        "healed_ns": to_ms * MS,
        **more,
    }
    return Fault(name, kind, {"nodes": list(nodes)}, observed, start_ns=from_ms * MS, **known)


def judge(faults: list[Fault], ops: History | None = None) -> CheckResult:
    ops = ops or history((0, 30, "ok", "n1", "write", 1), (31, 60, "ok", "n1", "read", 1))
    return checker("vacuity").check(RunRecord(ops, faults=faults, nodes=NODES), Budget())


PAUSE = fault("p", "pause", 20, 40, hidden_by=["k"])


def test_a_pause_of_a_killed_process_is_masked_by_the_kill_and_casts_no_doubt():
    result = judge([fault("k", "kill", 10, 30), PAUSE])
    assert result.verdict is Verdict.VALID
    assert result.stats["masked"] == {"p": ["k"]}


@pytest.mark.parametrize(
    "other",
    [
        fault("k", "kill", 10, 30, verified=False),
        fault("k", "kill", 10, 30, hidden_by=["p"]),
        fault("k", "kill", 10, 30, nodes=("n2",)),
        fault("k", "kill", 21, 30),
        fault("k", "kill", 10, 30, injected_ns=None),
        fault("other", "kill", 10, 30),
    ],
    ids=["not verified", "covered itself", "elsewhere", "later", "never injected", "unknown"],
)
def test_what_the_ledger_does_not_bear_out_covers_nothing(other):
    faults = [other, PAUSE]
    result = judge(faults)
    assert result.verdict is Verdict.UNKNOWN
    assert "fault p (pause) was not observed to take effect" in (result.reason or "")
    assert masked(faults) == {} and not PAUSE.verified


def test_every_fault_that_is_named_must_be_borne_out():
    both = fault("p", "pause", 20, 40, nodes=("n1", "n2"), hidden_by=["k", "d"])
    kill, disk = fault("k", "kill", 10, 30), fault("d", "disk", 10, 30, nodes=("n2",))
    assert masked([kill, disk, both]) == {"p": ("k", "d")}
    assert masked([kill, both]) == {}


def test_a_heal_is_felt_for_a_while():
    for late_ns, found in ((AFTERMATH_NS, {"p": ("k",)}), (AFTERMATH_NS + 1, {})):
        kill = fault("k", "kill", 10, 20, healed_ns=20 * MS)
        pause = fault("p", "pause", 20, 40, hidden_by=["k"])
        moved = Fault("p", "pause", pause.intended, pause.observed, False, 20 * MS + late_ns, 20 * MS + late_ns)
        assert masked([kill, moved]) == found


def test_a_fault_that_lapsed_is_no_masked_one():
    lapsed = fault("p", "pause", 20, 40, hidden_by=["k"])
    observed = {**(lapsed.observed or {}), "lapsed": True}
    again = Fault("p", "pause", lapsed.intended, observed, False, 20 * MS, 20 * MS, 40 * MS, 40 * MS)
    assert masked([fault("k", "kill", 10, 30), again]) == {}


def test_one_fault_that_did_nothing_is_enough_however_many_were_seen():
    seen = [fault(f"k{number}", "kill", number, number + 1) for number in range(10, 21)]
    result = judge([*seen, fault("p", "pause", 20, 40, nodes=("n3",), verified=False)])
    assert (result.verdict, result.reason) == (Verdict.UNKNOWN, "fault p (pause) was not observed to take effect")


DRAWN = {"drawn": True}
NOTHING = [fault(f"t{number}", "pause", 20, 40, nodes=("n3",), verified=False, **DRAWN) for number in range(3)]
SEEN = [fault(f"k{number}", "kill", number, number + 1, **DRAWN) for number in range(10, 13)]


def test_a_fault_that_a_search_drew_and_that_did_nothing_is_noted():
    result = judge([*SEEN, *NOTHING])
    assert result.verdict is Verdict.VALID and result.stats["without_effect"] == ["t0", "t1", "t2"]


@pytest.mark.parametrize(
    "faults",
    [
        [*SEEN[:2], *NOTHING],
        NOTHING[:1],
        [*SEEN, fault("w", "pause", 20, 40, nodes=("n3",), verified=False)],
        [*SEEN, fault("l", "pause", 20, 40, nodes=("n3",), verified=False, observed={"lapsed": True}, **DRAWN)],
        [*SEEN, fault("n", "pause", 20, 40, nodes=("n3",), verified=False, **DRAWN | {"injected_ns": None})],
    ],
    ids=["fewer were seen", "none was seen", "a user wrote it", "it lapsed", "it never began"],
)
def test_other_faults_that_did_nothing_stay_doubts(faults):
    assert judge(faults).verdict is Verdict.UNKNOWN


def test_the_reason_that_a_probe_named_is_reported():
    why = "etcd (pid 5) is a Go program: its runtime reads the vDSO, not the preloaded clock"
    moved = Fault("c", "clock", {}, {"unaffected": {"n1": [why]}}, False, 20 * MS, 20 * MS)
    assert judge([moved]).reason == f"fault c (clock) was not observed to take effect: n1: {why}"


def test_a_cut_of_nothing_says_why():
    nothing = Fault("c", "cut", {"edges": []}, {"edges": []}, False, 20 * MS, 20 * MS, 40 * MS, 40 * MS)
    result = judge([nothing])
    assert result.verdict is Verdict.UNKNOWN
    assert "fault c (partition) has no link to cut: its shape needs more nodes" in (result.reason or "")


# Faults that no operation met


def idle(kind: str, name: str = "idle") -> Fault:
    return fault(name, kind, 100, 110)


AROUND = ((0, 30, "ok", "n1", "write", 1), (31, 60, "ok", "n1", "read", 1), (200, 210, "ok", "n1", "read", 1))


@pytest.mark.parametrize("kind", ["kill", "power", "wipe", "disk", "memory", "membership"])
def test_what_a_fault_leaves_is_met_later(kind):
    assert judge([idle(kind)], history(*AROUND)).verdict is Verdict.VALID
    assert judge([idle(kind)], history(*AROUND[:2])).verdict is Verdict.UNKNOWN, "no operation came afterwards"


@pytest.mark.parametrize("kind", ["cut", "pause", "clock", "link", "cpu", "earthquake"])
def test_of_what_leaves_nothing_one_of_a_kind_must_be_met(kind):
    result = judge([idle(kind)], history(*AROUND))
    assert (result.verdict, result.reason) == (
        Verdict.UNKNOWN,
        f"no operation was in progress during fault idle ({called(kind)})",
    )
    assert result.stats["met_no_operation"] == ["idle"]
    several = judge([idle(kind, "a"), idle(kind, "b")], history(*AROUND))
    assert several.reason == f"no operation was in progress during any of 2 faults of kind {called(kind)}"
    met = judge([fault("met", kind, 10, 20), idle(kind)], history(*AROUND))
    assert (met.verdict, met.stats["met_no_operation"]) == (Verdict.VALID, ["idle"])


def test_a_cas_that_saw_another_value_took_place():
    assert judge([], parse("p0 w1 p1 r1 p2 c3>2!1")).verdict is Verdict.VALID
    assert judge([], parse("p0 w1 p1 r1 p2 c3>2!no-quorum")).verdict is Verdict.UNKNOWN


# Counting

operations = st.lists(
    st.tuples(
        st.integers(0, 40), st.one_of(st.none(), st.integers(0, 20)), st.sampled_from("rw"), st.sampled_from(Type)
    ).filter(lambda row: row[3] is not Type.INVOKE),
    max_size=12,
)


@given(operations, st.integers(-5, 60), st.integers(0, 30))
def test_who_was_open_in_a_stretch(rows, start_ns, length_ns):
    """As one looks at each operation."""
    end_ns = start_ns + length_ns
    ops = [
        Operation(place, f, kind, 2 * place, None, at_ns, None if took is None else at_ns + took)
        for place, (at_ns, took, f, kind) in enumerate(rows)
    ]
    expected: dict[str, dict[str, int]] = {}
    for op in ops:
        if op.invoke_ns <= end_ns and (op.complete_ns is None or op.complete_ns >= start_ns):
            found = expected.setdefault(op.f, {"ok": 0, "fail": 0, "info": 0})
            found[op.type.value] += 1
    assert Crowd.by_f(of_operations(ops)).open_in(start_ns, end_ns) == expected


def load(
    down_from_ms: int, up_at_ms: int, last_ms: int, every_ms: int = 100, refused_ms: int = 1, from_ms: int = 0
) -> History:
    """A write and a read by turns, which end ok in 1 ms while the cluster is up, and are refused after `refused_ms` while it is down."""
    rows: list[tuple[int, int, str, str, str, object]] = []
    for number, start_ms in enumerate(range(from_ms, last_ms, every_ms)):
        down = down_from_ms <= start_ms < up_at_ms
        f, value = ("read", number) if number % 2 else ("write", number + 1)
        outcome, lasts_ms = ("fail", refused_ms) if down else ("ok", 1)
        rows.append((start_ms, start_ms + lasts_ms, outcome, "n1", f, value))
    return history(*rows)


def run_of(ops: History, load_end_ms: int) -> CheckResult:
    return checker("vacuity").check(
        RunRecord(ops, nodes=NODES, phases={"load_end": load_end_ms * MS}, is_run=True), Budget()
    )


@pytest.mark.parametrize(("every_ms", "refused_ms"), [(20, 1), (20, 100), (100, 90)])
def test_a_run_that_was_down_nearly_throughout_tested_nothing(every_ms: int, refused_ms: int) -> None:
    """Final reads end ok after the load, when all is up again: they show nothing of it."""
    result = run_of(load(250, 6_000, 8_000, every_ms, refused_ms), 6_000)
    assert result.verdict is Verdict.UNKNOWN and result.reason is not None
    assert "operations ended ok in 1 of 20" in result.reason and "hint: " in result.reason


def test_the_parts_of_the_load_begin_with_its_first_operation() -> None:
    """The clients of a cluster that takes long to form are idle for as long as the whole load takes."""
    reason = run_of(load(60_250, 66_000, 68_000, 20, from_ms=60_000), 66_000).reason or ""
    assert "operations ended ok in 1 of 20 parts of the load of 0.3 s each" in reason


@pytest.mark.parametrize(
    ("ops", "load_end_ms"),
    [
        pytest.param(load(1_000, 6_000, 6_000), 6_000, id="down for five of six seconds"),
        pytest.param(load(0, 5_000, 6_000), 6_000, id="up at the end alone"),
        pytest.param(load(0, 0, 400, 100), 6_000, id="a handful of operations, all ok"),
        pytest.param(load(0, 0, 6_000, 1_000), 60_000, id="few operations in a long load"),
    ],
)
def test_a_run_that_was_down_for_a_part_of_it_tested_the_rest(ops: History, load_end_ms: int) -> None:
    reason = run_of(ops, load_end_ms).reason or ""
    assert "ended ok in" not in reason


def test_one_that_hangs_throughout_is_not_the_run() -> None:
    """A client behind a cut waits, while the others are answered now and then."""
    rows: list[tuple[int, int, str, str, str, object]] = [(0, 6_000, "info", "n3", "write", 99)]
    rows += [(1, 2, "ok", "n1", "write", 1), (3, 4, "ok", "n1", "read", 1)]
    assert "ended ok in" not in (run_of(history(*rows), 6_000).reason or "")


@pytest.mark.parametrize("from_file", [False, True])
def test_a_read_saw_a_write_only_of_its_own_workload(tmp_path: Path, from_file: bool) -> None:
    """Equal keys of two workloads are two objects."""
    lines = [
        {"process": 0, "type": type, "f": f, "key": "k", "value": value, "workload": workload}
        for f, value, workload in (("write", 1, "one"), ("read", 1, "one"), ("write", 2, "two"), ("read", 1, "two"))
        for type in ("invoke", "ok")
    ]
    (tmp_path / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = read_history(tmp_path / "history.jsonl")
    if not from_file:
        found = History(found.events)
    result = checker("vacuity").check(RunRecord(found), Budget())
    assert result.verdict is Verdict.UNKNOWN
    assert result.reason == "none of 1 ok reads of workload two saw a value that was written"

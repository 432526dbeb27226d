"""Availability, vacuity and convergence: what a run's figures mean, as stories over a few operations and one fault."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.checkers import CheckResult, Fault, RunRecord, Verdict, checker
from tribulation.checkers.base.result import Budget
from tribulation.checkers.faults.windows import sides
from tribulation.harness.run.outcome.run_folder import states_agree
from tribulation.histories import Event, History, Type, parse

MS = 1_000_000
NODES = ("n1", "n2", "n3", "n4", "n5")


def cut(minority: tuple[str, ...], start_ms: int, end_ms: int | None, verified: bool = True) -> Fault:
    edges = [[a, b] for a in NODES for b in NODES if (a in minority) != (b in minority)]
    heal_ns = None if end_ms is None else end_ms * MS
    what = {"edges": edges}
    return Fault(f"cut-{start_ms}", "cut", what, what, verified, start_ms * MS, start_ms * MS, heal_ns, heal_ns)


def history(*rows: tuple[int, int, str, str, str, object]) -> History:
    """(invoked ms, completed ms, outcome, node, f, value) each; one process a row."""
    events = []
    for process, (start_ms, end_ms, outcome, node, f, value) in enumerate(rows):
        asked = None if f == "read" else value
        events.append((start_ms, 0, Event(0, start_ms * MS, process, Type.INVOKE, f, asked, node=node)))
        events.append((end_ms, 1, Event(0, end_ms * MS, process, Type(outcome), f, value, node=node)))
    events.sort(key=lambda item: item[:2])
    return History([replace(event, index=index) for index, (*_, event) in enumerate(events)])


def judge(name: str, record: RunRecord) -> CheckResult:
    return checker(name).check(record, Budget())


# availability


def split_run(first_ok_ms: int) -> History:
    return history(
        (1, 2, "ok", "n3", "write", 1),
        (12, 13, "ok", "n3", "write", 2),
        (13, 14, "fail", "n1", "write", 3),
        (14, 19, "info", "n2", "write", 4),
        (22, 23, "fail", "n1", "write", 5),
        (24, first_ok_ms, "ok", "n1", "write", 6),
    )


def test_each_side_of_a_partition_is_counted_and_the_recovery_measured():
    record = RunRecord(history=split_run(26), faults=[cut(("n1", "n2"), 10, 20)], nodes=NODES)
    result = judge("availability", record)
    (reported,) = result.stats["faults"]
    assert result.verdict is Verdict.VALID
    assert reported["sides"] == {"n1+n2": {"ok": 0, "fail": 1, "info": 1}, "n3+n4+n5": {"ok": 1, "fail": 0, "info": 0}}
    assert (reported["recovery_ms"], reported["duration_ms"], reported["disturbed"]) == (6.0, 10.0, False)


@pytest.mark.parametrize(("first_ok_ms", "verdict"), [(1020, Verdict.VALID), (1021, Verdict.INVALID)])
def test_the_bound_on_recovery(first_ok_ms, verdict):
    record = RunRecord(
        history=split_run(first_ok_ms), faults=[cut(("n1", "n2"), 10, 20)], nodes=NODES, options={"max_recovery_s": 1}
    )
    result = judge("availability", record)
    assert result.verdict is verdict
    if verdict is Verdict.INVALID:
        (anomaly,) = result.anomalies
        assert (anomaly.kind, anomaly.details["recovery_ms"]) == ("slow-recovery", 1001.0)


def test_no_ok_at_all_after_the_heal():
    """Refused for two seconds where one is allowed. Refused for half a second would show nothing yet."""
    fault = cut(("n1", "n2"), 10, 20)
    for last_ms, verdict in ((2020, Verdict.INVALID), (520, Verdict.UNKNOWN)):
        rows = history((1, 2, "ok", "n3", "write", 1), (30, last_ms, "fail", "n3", "write", 2))
        record = RunRecord(history=rows, faults=[fault], nodes=NODES, options={"availability": {"max_recovery_s": 1}})
        assert judge("availability", record).verdict is verdict


def test_a_heal_into_the_next_fault_is_no_evidence():
    faults = [cut(("n1", "n2"), 10, 20), cut(("n3", "n4"), 21, 3000)]
    record = RunRecord(history=split_run(2500), faults=faults, nodes=NODES, options={"max_recovery_s": 1})
    result = judge("availability", record)
    assert (result.verdict, result.reason) == (Verdict.UNKNOWN, "no heal could be compared with the limit of 1 s")
    assert [reported["disturbed"] for reported in result.stats["faults"]] == [True, False]


@pytest.mark.parametrize(("is_run", "verdict"), [(True, Verdict.UNKNOWN), (False, Verdict.VALID)])
@pytest.mark.parametrize("outcome", ["fail", "info"])
def test_a_run_in_which_nothing_ended_ok_after_a_heal_is_unknown_also_without_a_bound(outcome, is_run, verdict):
    rows = history((1, 2, "ok", "n3", "write", 1), (30, 31, outcome, "n3", "write", 2))
    record = RunRecord(history=rows, faults=[cut(("n1", "n2"), 10, 20)], nodes=NODES, is_run=is_run)
    result = judge("availability", record)
    assert result.verdict is verdict
    reported = "after the partition cut-10, healed at 0.020 s, none of 1 operations ended ok"
    assert result.reason == (reported if is_run else None)


@given(st.sets(st.tuples(st.sampled_from(NODES), st.sampled_from(NODES)).filter(lambda edge: edge[0] != edge[1])))
def test_sides_are_the_components_of_what_is_left(edges):
    fault = Fault("f", "cut", {"edges": [list(edge) for edge in sorted(edges)]}, None, True, 0)
    found = sides(fault, NODES)
    graph = nx.Graph()
    graph.add_nodes_from(NODES)
    graph.add_edges_from((a, b) for a in NODES for b in NODES if a < b and not {(a, b), (b, a)} & edges)
    for a in NODES:
        for b in NODES:
            assert (found[a] == found[b]) == nx.has_path(graph, a, b)


# vacuity


def test_a_run_that_tested_something():
    record = RunRecord(history=parse("p0 w1 | p1 r1 p0 w2"), faults=[cut(("n1",), 1, 3)], nodes=NODES)
    result = judge("vacuity", record)
    assert (result.verdict, result.reason) == (Verdict.VALID, None)
    assert result.stats["by_f"]["write"] == {"ok": 2, "fail": 0, "info": 0, "ok_rate": 1.0}
    assert result.stats["during_faults"] == {
        "cut-1": {
            "read": {"ok": 1, "fail": 0, "info": 0, "ok_rate": 1.0},
            "write": {"ok": 1, "fail": 0, "info": 0, "ok_rate": 1.0},
        }
    }
    figures = ("reads_ok", "reads_that_saw_writes", "keys", "contended_keys", "most_open_at_once")
    assert [result.stats[name] for name in figures] == [1, 1, 1, 1, 2]


@pytest.mark.parametrize(
    ("text", "faults", "reason"),
    [
        ("", [], "no operation was recorded"),
        ("p0 w1 p1 r1 p2 c1>2!no-quorum p3 c1>2?", [], "no cas ended ok (1 failed, 1 unknown)"),
        ("p0 w1 | p1 r_", [], "none of 1 ok reads saw a value that was written"),
        ("p0 a1 p1 s", [], "none of 1 ok reads saw a value that was written"),
        ("p0 w1 p1 r1", [cut(("n1",), 50, 60)], "no operation was in progress during fault cut-50 (partition)"),
        (
            "p0 w1 p1 r1",
            [cut(("n1",), 0, 60, verified=False)],
            "fault cut-0 (partition) was not observed to take effect",
        ),
        ("p0 w1 p1 r1", [Fault("k", "kill", {"nodes": ["n1"]}, None, False, 0)], "fault k (kill) was never injected"),
    ],
)
def test_a_run_that_tested_nothing_is_unknown(text, faults, reason):
    result = judge("vacuity", RunRecord(history=parse(text), faults=faults, nodes=NODES))
    assert (result.verdict, result.reason) == (Verdict.UNKNOWN, reason)


# convergence


def states(**digests: tuple[int, str] | None) -> dict[str, Any]:
    return {node: {"index": state[0], "digest": state[1]} for node, state in digests.items() if state is not None}


def converged(**more: Any) -> RunRecord:
    base = RunRecord(
        history=parse("p0 w1"), nodes=("n1", "n2", "n3"), final_states=states(n1=(9, "a"), n2=(9, "a"), n3=(9, "a"))
    )
    return replace(base, **more)


def test_equal_states_have_converged():
    result = judge("convergence", converged())
    assert (result.verdict, result.stats["answered"]) == (Verdict.VALID, 3)


def test_equal_states_of_a_cluster_to_which_nothing_was_written_say_nothing():
    result = judge("convergence", converged(history=parse("p0 w1!refused")))
    reason = "no write was acknowledged and no key was read at the end, so equal states prove nothing"
    assert (result.verdict, result.reason) == (Verdict.UNKNOWN, reason)


def test_different_digests_at_one_index_are_divergence():
    result = judge("convergence", converged(final_states=states(n1=(9, "a"), n2=(9, "b"), n3=(9, "a"))))
    (anomaly,) = result.anomalies
    assert anomaly.kind == "diverged"
    assert anomaly.explanation == (
        "After the quiet period replicas differ at the same index: n1, n3 at index 9 with digest a; n2 at index 9 with digest b."
    )


def test_a_replica_left_behind_has_not_converged():
    result = judge("convergence", converged(final_states=states(n1=(9, "a"), n2=(7, "b"), n3=(9, "a"))))
    assert [anomaly.kind for anomaly in result.anomalies] == ["not-converged"]


def test_a_silent_node_leaves_it_unknown():
    result = judge("convergence", converged(final_states=states(n1=(9, "a"), n3=(9, "a"))))
    assert (result.verdict, result.reason) == (
        Verdict.UNKNOWN,
        "1 of 3 nodes did not report their final state: n2",
    )


def test_digests_of_two_schemes_are_no_evidence_for_or_against_each_other():
    """A cluster of nodes of two releases."""
    mixed = states(n1=(9, "a"), n2=(9, "2:b"), n3=(9, "2:b"))
    result = judge("convergence", converged(final_states=mixed))
    assert result.verdict is Verdict.UNKNOWN and "the schemes none, 2 cannot be compared" in result.reason
    (anomaly,) = judge("convergence", converged(final_states={**mixed, **states(n3=(9, "2:c"))})).anomalies
    assert anomaly.kind == "diverged"
    (anomaly,) = judge("convergence", converged(final_states={**mixed, **states(n3=(8, "2:b"))})).anomalies
    assert anomaly.kind == "not-converged"
    lines = [{"event": "digest", "index": 5, "digest": digest} for digest in ("y", "2:z")]
    assert judge("convergence", converged(traces={"n1": lines[:1], "n2": lines[1:]})).verdict is Verdict.VALID
    assert states_agree(mixed) and not states_agree({**mixed, **states(n3=(9, "2:c"))})
    assert not states_agree({**mixed, **states(n3=(8, "2:b"))})


def test_traced_digests_that_clash_are_divergence_even_if_the_end_is_equal():
    traces = {
        "n1": [{"event": "digest", "index": 4, "digest": "x"}, {"event": "digest", "index": 5, "digest": "y"}],
        "n2": [{"event": "digest", "index": 5, "digest": "z"}],
    }
    (anomaly,) = judge("convergence", converged(traces=traces)).anomalies
    assert (anomaly.kind, anomaly.details["index"]) == ("diverged", 5)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("p0 w1 p0 r1@stale p1 r1@stale", Verdict.VALID),
        ("p0 w1 p0 r1@stale p1 r_@stale", Verdict.INVALID),
        ("p9 w1? p0 r1@stale p1 r_@stale", Verdict.VALID),  # the write may act between the reads
        ("p0 a1 p1 s1,2@stale p2 s2,1@stale", Verdict.VALID),
    ],
)
def test_final_reads_agree_whoever_answers(text, verdict):
    record = converged(history=parse(text), phases={"quiet_end": 2 * MS})
    assert judge("convergence", record).verdict is verdict


def test_time_to_converge_comes_from_the_traces():
    """n2 applies index 6, which n1 had applied before the heal, 30 ms after it; its clock is 1000 ms ahead of the run's."""
    traces = {
        "n1": [{"event": "apply", "entries": [[6, 1, 0]], "mono_ns": 90 * MS}],
        "n2": [
            {"event": "apply", "entries": [[2, 1, 0]], "mono_ns": 1050 * MS},
            {"event": "apply", "entries": [[5, 1, 0], [6, 1, 0]], "mono_ns": 1130 * MS},
        ],
    }
    offsets = {"n1": (0, 0), "n2": (1000 * MS, 1)}
    record = converged(traces=traces, clock_offsets_ns=offsets, phases={"healed": 100 * MS})
    assert judge("convergence", record).stats["converged_ms_after_heal"] == 30.0
    assert "converged_ms_after_heal" not in judge("convergence", replace(record, clock_offsets_ns={})).stats


def test_only_reads_that_were_asked_after_the_quiet_period_are_final():
    """The first began before its end, and may show what was there before."""
    read = history((1, 9, "ok", "n1", "write", 1), (10, 30, "ok", "n1", "read", 0), (21, 31, "ok", "n2", "read", 1))
    result = judge("convergence", converged(history=read, phases={"quiet_end": 20 * MS}))
    assert (result.verdict, result.stats["keys_read_at_end"]) == (Verdict.VALID, 1)
    late = judge("convergence", converged(history=read, phases={"quiet_end": 10 * MS}))
    assert [anomaly.kind for anomaly in late.anomalies] == ["final-reads-differ"]

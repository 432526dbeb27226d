"""What checkers conclude from faults of every kind: not more than they prove, and not that they excuse everything."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.checkers import Fault, RunRecord, Verdict, checker
from tribulation.checkers.base.result import Budget
from tribulation.checkers.faults.connectivity import epochs
from tribulation.checkers.faults.kinds import CALLED, called, may_be_down, targets, touched
from tribulation.checkers.faults.windows import sides, windows
from tribulation.checkers.workloads.liveness_bounds import outages
from tribulation.harness.user_files import renamed
from tribulation.histories import History

from .test_run_figures import history, split_run
from .trace_book import MS, Book, kinds

NODES = ("n1", "n2", "n3")

EVERY_KIND: dict[str, dict[str, Any]] = {
    "cut": {"edges": [["n1", "n2"], ["n2", "n1"]]},
    "link": {"edges": [["n1", "n2"]], "loss_ppm": 900_000, "corrupt_ppm": 10_000, "rate_bps": 8_000},
    "clog": {"edges": [["n1", "n2"]]},
    "flap": {"edges": [["n1", "n2"]], "period_ns": 10**9},
    "reset": {"edges": [["n1", "n2"]], "period_ns": 10**9},
    "kill": {"nodes": ["n1"]},
    "pause": {"nodes": ["n1"], "whole": "host"},
    "power": {"nodes": ["n1"]},
    "wipe": {"nodes": ["n1"], "calibration": True},
    "disk": {"nodes": ["n1"], "effect": "full"},
    "clock": {"drift_ppm": {"n1": 500}},
    "cpu": {"nodes": ["n1"], "share_ppm": 100_000},
    "memory": {"nodes": ["n1"], "limit_bytes": 1 << 26},
    "descriptors": {"nodes": ["n1"], "limit": 20},
    "membership": {"action": "replace", "nodes": ["n1"], "voters": {"n1": 0, "n2": 1, "n3": 1}},
    "voters": {"voters": {"n1": 0}},
    "earthquake": {"nodes": ["n1"]},
}
CERTAIN = {"cut", "kill", "pause", "power", "wipe"}


def fault(kind: str, from_ms: int, to_ms: int | None, verified: bool = True, **more: Any) -> Fault:
    what = more.pop("what", EVERY_KIND[kind])
    heal_ns = None if to_ms is None else to_ms * MS
    times: dict[str, Any] = {"injected_ns": from_ms * MS, "heal_ns": heal_ns, "healed_ns": heal_ns, **more}
    return Fault(f"{kind}-{from_ms}", kind, what, None, verified, from_ms * MS, **times)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_only_what_surely_parts_nodes_parts_them(kind):
    found = epochs([fault(kind, 10, 20)])
    assert (len(found.epochs) == 3) == (kind in CERTAIN)
    assert len(epochs([fault(kind, 10, 20, verified=False)]).epochs) == 1


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_whom_each_kind_aims_at(kind):
    aimed = {"n1", "n2"} if "edges" in EVERY_KIND[kind] else {"n1"}
    assert targets(fault(kind, 10, 20)) == aimed == touched(fault(kind, 10, 20))
    side = {"n1": "n1+n2+n3"} if kind == "cut" else {"n1": "targets", "n3": "others"}
    assert side.items() <= sides(fault(kind, 10, 20), NODES).items()


def test_a_fault_that_names_nobody_has_one_side():
    assert set(sides(fault("earthquake", 1, 2, what={}), NODES).values()) == {"all"}


# What one fault may end of another


@pytest.mark.parametrize(
    ("held", "other", "until_ms"),
    [
        ("pause", "kill", 30),
        ("pause", "power", 30),
        ("pause", "disk", 20),
        ("pause", "memory", 20),
        ("pause", "cpu", 40),
        ("pause", "earthquake", 20),
        ("kill", "pause", 40),
        ("kill", "power", 30),
        ("kill", "memory", 40),
        ("kill", "membership", 20),
        ("power", "kill", 40),
        ("cut", "power", 30),
        ("cut", "kill", 40),
    ],
)
def test_what_another_fault_may_start_again_is_certain_until_then(held, other, until_ms):
    """The first is on from 10 to 40 ms, the other from 20 to 30, on the same node."""
    (first, *_) = [
        epoch
        for epoch in reversed(epochs([fault(held, 10, 40), fault(other, 20, 30)]).epochs)
        if f"{held}-10" in epoch.faults
    ]
    assert first.end_ns == until_ms * MS


def test_a_fault_elsewhere_or_at_another_time_ends_nothing():
    elsewhere = fault("power", 20, 30, what={"nodes": ["n3"]})
    before, after = fault("power", 1, 10), fault("kill", 40, 50)
    found = epochs([before, fault("pause", 10, 40), elsewhere, after])
    assert all("n1" in epoch.down for epoch in found.epochs if 10 * MS <= epoch.start_ns < 40 * MS)


@given(st.lists(st.tuples(st.sampled_from(sorted(EVERY_KIND)), st.integers(0, 50), st.integers(1, 50)), max_size=8))
def test_more_faults_never_make_another_certain_for_longer(drawn):
    """Where all faults together say that something is down or cut, one of those that hold it there says so alone."""
    faults = [fault(kind, at_ms, at_ms + for_ms) for kind, at_ms, for_ms in drawn]
    alone = [epochs([one]) for one in faults]
    for epoch in epochs(faults).epochs:
        inside = [found.during(epoch.start_ns, epoch.start_ns)[-1] for found in alone]
        assert epoch.down <= frozenset().union(*(one.down for one in inside))
        assert epoch.cut <= frozenset().union(*(one.cut for one in inside))


# Voters


@pytest.mark.parametrize("kind", ["voters", "membership"])
def test_without_traces_nobody_knows_the_voters_after_a_change(kind):
    """n1 and n2 are dead and n3 acknowledges: a violation for three voters, and for all we know n3 is the only one by then."""
    book = Book()
    book.fault("kill", 100, 200, nodes=["n1", "n2"])
    book.op("write", 120, 130, value=1, served_by="n3")
    record = book.record(traces={})
    assert kinds(checker("quorum").check(record, Budget())) == ["Q2-write-without-quorum"]
    book.faults.insert(0, fault(kind, 50, 60))
    assert kinds(checker("quorum").check(book.record(traces={}), Budget())) == []


# Which nodes were down


def test_who_may_have_been_down_is_neither_up_nor_down():
    assert {kind for kind in EVERY_KIND if may_be_down(fault(kind, 1, 2))} == {
        *(CERTAIN - {"cut"}),
        *("disk", "cpu", "memory", "descriptors", "membership", "earthquake"),
    }
    record = RunRecord(History([]), faults=[fault(kind, 10, 20) for kind in EVERY_KIND])
    assert {outage.fault for outage in outages(record) if outage.certain} == {
        "kill-10",
        "pause-10",
        "power-10",
        "wipe-10",
    }
    doubtful = RunRecord(History([]), faults=[fault("kill", 10, 20, verified=False)])
    assert [outage.certain for outage in outages(doubtful)] == [False]


# Availability


def late(*faults: Fault, first_ok_ms: int = 1500, **more: Any) -> RunRecord:
    return RunRecord(history=split_run(first_ok_ms), faults=faults, nodes=NODES, options={"max_recovery_s": 1}, **more)


def verdict(record: RunRecord) -> Verdict:
    return checker("availability").check(record, Budget()).verdict


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_the_bound_after_a_heal_of_each_kind(kind):
    """One that happens once is not healed: what it changed stays, and says nothing."""
    assert verdict(late(fault(kind, 10, None if kind == "voters" else 20))) is (
        Verdict.UNKNOWN if kind == "voters" else Verdict.INVALID
    )


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_any_kind_of_fault_disturbs_while_it_may_be_on_and_no_longer(kind):
    cut = fault("cut", 10, 20)
    seen = {"seen_ns": 600 * MS} if kind == "voters" else {}
    assert verdict(late(cut, fault(kind, 500, None if kind == "voters" else 600, **seen))) is Verdict.UNKNOWN
    seen = {"seen_ns": 9 * MS} if kind == "voters" else {}
    assert verdict(late(cut, fault(kind, 5, None if kind == "voters" else 9, **seen))) is Verdict.INVALID


def test_a_fault_that_was_not_seen_undone_may_still_be_on():
    assert verdict(late(fault("cut", 10, 20), fault("link", 5, 9, undone=False))) is Verdict.UNKNOWN
    assert verdict(late(fault("cut", 10, 20, undone=False))) is Verdict.UNKNOWN
    failed = fault("link", 5, None, verified=False, injected_ns=None)
    assert verdict(late(fault("cut", 10, 20), failed)) is Verdict.UNKNOWN


def test_the_bound_counts_from_when_the_heal_was_seen():
    """A host takes its time to boot."""
    assert verdict(late(fault("power", 10, 20, healed_ns=600 * MS))) is Verdict.VALID
    assert verdict(late(fault("power", 10, 20, healed_ns=400 * MS))) is Verdict.INVALID


def test_faults_that_are_healed_together_do_not_excuse_each_other():
    assert verdict(late(fault("cut", 10, 20), fault("cpu", 12, 20))) is Verdict.INVALID


def test_who_tries_late_learns_nothing():
    rows = history((1, 2, "ok", "n3", "write", 1), (900, 1500, "ok", "n3", "write", 2))
    record = RunRecord(rows, faults=[fault("cut", 10, 20)], nodes=NODES, options={"max_recovery_s": 1})
    assert verdict(record) is Verdict.UNKNOWN


@pytest.mark.parametrize(("torn", "expected"), [(1, Verdict.INVALID), (2, Verdict.UNKNOWN)])
def test_a_cluster_that_lost_the_tails_of_too_many_logs_is_silent_by_design(torn, expected):
    book = Book()
    for place, node in enumerate(NODES):
        book.boot(node, torn=place < torn)
    record = late(fault("power", 10, 20), traces=book.lines, clock_offsets_ns=book.offsets)
    result = checker("availability").check(record, Budget())
    assert result.verdict is expected
    assert expected is Verdict.INVALID or "n1, n2 had lost the tail of the log" in (result.reason or "")


# What happens once


def test_what_happens_once_is_over_when_it_was_seen_to_be_done():
    rows = history((1, 2, "ok", "n3", "write", 1), (900, 1500, "ok", "n3", "write", 2))
    (span,) = windows(RunRecord(rows, faults=[fault("voters", 10, None, seen_ns=30 * MS)]))
    assert (span.end_ns, span.healed) == (30 * MS, False)


# Disks that forget


@pytest.mark.parametrize(
    ("lost", "found"),
    [
        ({"kind": "kill", "nodes": ["n2"]}, ["acknowledged-entry-lost", "forgotten-vote"]),
        ({"kind": "membership", "nodes": ["n2"], "action": "replace"}, []),
        ({"kind": "membership", "nodes": ["n2"], "action": "remove"}, ["acknowledged-entry-lost", "forgotten-vote"]),
        ({"kind": "membership", "nodes": ["n3"], "action": "replace"}, ["acknowledged-entry-lost", "forgotten-vote"]),
        ({"kind": "disk", "nodes": ["n2"], "effect": "truncate"}, []),
        ({"kind": "disk", "nodes": ["n2"], "effect": "slow"}, ["acknowledged-entry-lost", "forgotten-vote"]),
        (
            {"kind": "wipe", "nodes": ["n2"], "calibration": True},
            ["acknowledged-entry-lost", "forgotten-vote"],
        ),
    ],
)
def test_a_node_whose_disk_was_taken_broke_no_promise(lost, found):
    """n2 votes in term 2 and holds entry 1, and boots without either. Where alarms are wanted they come."""
    book = Book().boot_all()
    book.win("n1", 2, ["n1", "n2"])
    book.replicate("n1", ["n2"], 1, 2)
    book.boot("n2", term=2, again=True)
    what = dict(lost)
    book.fault(what.pop("kind"), book.at_ms - 0.5, book.at_ms + 5, **what)
    result = checker("raft-safety").check(book.record(), Budget())
    assert sorted(kinds(result)) == found


def test_a_disk_that_was_taken_excuses_no_second_vote():
    book = Book().boot_all()
    book.win("n1", 2, ["n1", "n2"])
    book.boot("n2", again=True)
    book.fault("membership", book.at_ms - 0.5, book.at_ms + 0.5, nodes=["n2"], action="replace")
    book.line("n2", "vote", term=2, candidate="n3")
    assert "double-vote" in kinds(checker("raft-safety").check(book.record(), Budget()))


def test_the_names_in_messages_are_the_words_of_campaigns() -> None:
    assert renamed.FAULTS.items() <= CALLED.items()
    assert called("cut") == "partition" and called("kill") == "kill"

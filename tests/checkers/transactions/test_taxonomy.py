"""Every anomaly of the taxonomy as a story, reported at the level that forbids it, and permitted one level below."""

from __future__ import annotations

import pytest

from tribulation.checkers import Verdict

from .stories import judge, kinds

LISTS = {
    "internal": "p0 rx[] ax1 rx[]",
    "future-read": "p0 rx[1] ax1",
    "thin-air-read": "p0 ay1\np1 rx[7]",
    "duplicate-elements": "p0 ax1\np1 rx[1 1]",
    "incompatible-order": "p0 ax1\np1 ax2\np2 rx[1]\np3 rx[2]",
    "G1a": "p0 ax1 fail\np1 rx[1]",
    "dirty-update": "p0 ax1 fail\np1 ax2\np2 rx[1 2]",
    "G1b": "p0 ax1 ax2\np1 rx[1]\np2 rx[1 2]",
    "lost-update": "p0 |--| rx[] ax1\np1 |--| rx[] ax2\np2      |--| rx[1 2]",
    "G0": "p0 |--| ax1 ay1\np1 |--| ax2 ay2\np2      |--| rx[1 2] ry[2 1]",
    "G1c": "p0 |--| ax1 ry[1]\np1 |--| ay1 rx[1]",
    "G-single": "p0 |--| ax1 ay1\np1 |--| rx[1] ry[]",
    "G-nonadjacent": "p0 |--| ax1\np1 |--| ay1\np2 |--| rx[1] ry[]\np3 |--| rx[] ry[1]",
    "G2-item": "p0 |--| ax1 ry[]\np1 |--| ay1 rx[]",
    "G0-realtime": "p0 |--| ax1\np1      |--| ax2\np2          |--| rx[2 1]",
    "G1c-realtime": "p0 |--| rx[1]\np1      |--| ax1",
    "G-single-realtime": "p0 |--| ax1\np1      |--| rx[]",
    "G2-item-realtime": "p0 |--| ay1\np1 |-----------| ax1 ry[]\np2      |--| rx[]",
    "G-nonadjacent-realtime": "p0 |--| ay1\np1 |-----------------| rx[1] ry[]\np2 |-----------------| ax1\np3      |------| rx[]",
}

REGISTERS = {
    "internal": "p0 wx1 rx2\np1 wx2",
    "future-read": "p0 rx1 wx1",
    "thin-air-read": "p0 wx1\np1 rx7",
    "G1a": "p0 wx1 fail\np1 rx1",
    "G1b": "p0 wx1 wx2\np1 rx1",
    "lost-update": "p0 |--| rx_ wx1\np1 |--| rx_ wx2",
    "cyclic-versions": "p0 |--| rx1 wx2\np1 |--| rx2 wx1",
    "G1c": "p0 |--| wx1 ry1\np1 |--| wy1 rx1",
    "G-single": "p0 |--| wx1 wy1\np1 |--| rx1 ry_",
    "G-nonadjacent": "p0 |--| wx1\np1 |--| wy1\np2 |--| rx1 ry_\np3 |--| rx_ ry1",
    "G2-item": "p0 |--| wx1 ry_\np1 |--| wy1 rx_",
    "G-single-realtime": "p0 |--| wx1\np1      |--| wx2\np2          |--| rx1",
}

# Where the level that forbids an anomaly directly is plain, and one that does not.
BOUNDS = {
    "G0": ("read-uncommitted", None),
    "G1c": ("read-committed", "read-uncommitted"),
    "G1a": ("read-committed", "read-uncommitted"),
    "G-single": ("consistent-view", "PL-2"),
    "G-nonadjacent": ("snapshot-isolation", "consistent-view"),
    "G2-item": ("repeatable-read", "snapshot-isolation"),
    "lost-update": ("update-atomic", "PL-2"),
    "G-single-realtime": ("strong-snapshot-isolation", "serializable"),
}


@pytest.mark.parametrize("kind", LISTS)
def test_lists(kind: str) -> None:
    result = judge("list-append", LISTS[kind])
    assert result.verdict is Verdict.INVALID
    assert kind in result.stats["anomalies"], result.stats


@pytest.mark.parametrize("kind", REGISTERS)
def test_registers(kind: str) -> None:
    result = judge("rw-register", REGISTERS[kind])
    assert result.verdict is Verdict.INVALID
    assert kind in result.stats["anomalies"], result.stats


@pytest.mark.parametrize("kind", BOUNDS)
def test_levels_forbid_what_they_say(kind: str) -> None:
    forbids, permits = BOUNDS[kind]
    assert kind in kinds(judge("list-append", LISTS[kind], {"consistency": forbids}))
    if permits:
        weaker = judge("list-append", LISTS[kind], {"consistency": permits})
        assert kind not in kinds(weaker) and weaker.verdict is Verdict.VALID
        # Of real time nothing is said where the level does not ask for it.
        assert kind.endswith("-realtime") or kind in weaker.stats["permitted"]


def test_a_process_that_misses_its_own_write() -> None:
    result = judge("list-append", "p0 ax1\np0 rx[]", {"consistency": "strong-session-serializable"})
    assert kinds(result) == {"G-single-process"}
    assert result.stats["not"] == ["strong-session-snapshot-isolation"]
    assert judge("list-append", "p0 ax1\np0 rx[]", {"consistency": "serializable"}).verdict is Verdict.VALID


def test_the_story_names_what_was_missed_and_carries_it_as_data() -> None:
    (anomaly,) = judge(
        "list-append", "p0 |--| ax1\np1      |--| ax2\np2          |--| rx[1]\np3               |--| rx[1 2]"
    ).anomalies
    assert anomaly.kind == "G-single-realtime" and anomaly.ops == (2, 4)
    assert "T4 read x=[1], which misses T2's append of 2" in anomaly.explanation
    assert "T2 completed at index 3, before T4 was invoked at index 4" in anomaly.explanation
    assert [(step["from"], step["to"], step["kind"]) for step in anomaly.details["steps"]] == [
        ("T4", "T2", "rw"),
        ("T2", "T4", "realtime"),
    ]
    assert [txn["ops"] for txn in anomaly.details["transactions"]] == [[["append", "x", 2]], [["r", "x", [1]]]]


def test_a_stale_read_of_a_register_is_reported_by_the_three_it_takes() -> None:
    (anomaly,) = judge("rw-register", REGISTERS["G-single-realtime"]).anomalies
    assert anomaly.ops == (0, 2, 4)
    assert (
        "T4 read x=1, which T2 replaced by 2 (T0 wrote 1 and completed at index 1, before T2 wrote 2"
        in anomaly.explanation
    )


def test_several_appends_that_nobody_read_stand_in_no_order() -> None:
    """More of them than are joined edge by edge, one of them by a reader of the empty list: it comes first, and nothing is wrong."""
    blind = "\n".join(f"p{process} |--------| ax{process}" for process in range(1, 7))
    assert judge("list-append", f"p0 |--------| rx[] ax9\n{blind}").verdict is Verdict.VALID


def test_many_readers_of_the_initial_state_and_many_writers() -> None:
    """The chains that stand for all-before-all let no transaction come before itself, and find the one reader that came too late."""
    both = "\n".join(f"p{process} |--------| rx_ wy{process}" for process in range(8))
    writes = "\n".join(f"p{process} |--------| wx{process}" for process in range(10, 18))
    assert judge("rw-register", f"{both}\n{writes}").verdict is Verdict.VALID
    late = judge("rw-register", f"{both}\n{writes}\np20            |--| rx_")
    assert kinds(late) == {"G-single-realtime"}


def test_an_unknown_level_is_refused_with_the_known_ones() -> None:
    result = judge("list-append", LISTS["G0"], {"consistency": "perfect"})
    assert result.verdict is Verdict.UNKNOWN and "strict-serializable" in (result.reason or "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("p0 ax1\np1 ax1\np2 rx[1]", "unique values"),
        ("p0 ax1 info\np1 ax2 info", "no transaction is known"),
        ("p0 ax1\np1 ax2", "nothing was observed"),
    ],
)
def test_doubt_is_no_verdict(text: str, why: str) -> None:
    result = judge("list-append", text)
    assert result.verdict is Verdict.UNKNOWN and why in (result.reason or "")


def test_a_retry_with_the_same_value_after_a_failure_is_the_write_that_counts() -> None:
    assert judge("list-append", "p0 ax1 fail\np0 ax1\np1 rx[1]").verdict is Verdict.VALID
    assert judge("rw-register", "p0 wx1 fail\np0 wx1\np1 rx1").verdict is Verdict.VALID


def test_what_an_unknown_transaction_did_counts_once_it_was_seen() -> None:
    assert judge("list-append", "p0 ax1 ay1 info\np1 rx[1] ry[1]").verdict is Verdict.VALID
    assert "G-single" in kinds(judge("list-append", "p0 ax1 ay1 info\np1 rx[1] ry[]"))


def test_the_shortest_cycle_of_a_component_is_reported() -> None:
    """The first transaction's append to y is missed by one that read it directly, and by one that read that one."""
    text = "p0 |--| ax1 ay1\np1 |--| rx[1] ry[] av1\np2 |--| rv[1] ry[]"
    (anomaly,) = [one for one in judge("list-append", text).anomalies if one.kind == "G-single"]
    assert len(anomaly.details["cycle"]) == 2
    turned = "p0 |--| ax1 ay1\np2 |--| rv[1] ry[]\np1 |--| rx[1] ry[] av1"
    (anomaly,) = [one for one in judge("list-append", turned).anomalies if one.kind == "G-single"]
    assert len(anomaly.details["cycle"]) == 2

"""The table of nodes, from a node's status and views as the protocol has them."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from tribulation.harness.cluster.picture import Picture, picture
from tribulation.harness.cluster.table import headline, load_bar, table_of, tasks_line

STATUS = {"leader": "n2", "term": 4, "rtt_ns": {"n2": 5_250_000}}


def member(number: int, state: str = "ACTIVE") -> dict[str, Any]:
    return {"host": f"10.77.0.{number}", "port": 10000, "role": "hybrid", "state": state, "incarnation": 1}


MEMBERS = {"n10": member(10, "FAILED"), "n2": member(2), "n1": member(1)}
POOL = {
    "hosts": {"n1": {"used": 1, "slots": 16}, "n2": {"used": 2, "slots": 4}},
    "agents": {
        "a": {"type": "code", "host": "n1"},
        "b": {"type": "code", "host": "n2"},
        "c": {"type": "data", "host": "n2"},
        "d": {"type": "code", "host": "n2"},
    },
}
TASKS = {"queued": 0, "assigned": 3, "done": 17, "dead": 1, "effects": 40, "forgotten": 0}


def test_rows_are_in_the_order_of_numbers_and_say_what_runs_where() -> None:
    seen = picture("n1", STATUS, MEMBERS, POOL, TASKS)
    assert [row.node for row in seen.rows] == ["n1", "n2", "n10"]
    first, second, tenth = seen.rows
    assert (second.raft, second.used, second.slots, second.types, second.rtt_ms) == (
        "leader",
        2,
        4,
        "code×2 data×1",
        5.25,
    )
    assert (first.raft, first.rtt_ms) == ("", None)
    assert (tenth.state, tenth.used, tenth.slots) == ("FAILED", 0, 0)
    assert seen.tasks == {"assigned": 3, "done": 17, "dead": 1}


def test_the_lines_around_the_table_say_who_reported_it_and_what_the_tasks_do() -> None:
    seen = picture("n1", STATUS, MEMBERS, POOL, TASKS)
    assert headline(seen) == "2 of 3 nodes ACTIVE, n2 leads term 4 (as n1 reports)"
    assert tasks_line(seen) == "tasks: 3 assigned, 1 dead, 17 done"
    lost = picture("n1", {"leader": None, "term": 4}, MEMBERS, POOL, {})
    assert headline(lost) == "2 of 3 nodes ACTIVE, no leader known in term 4 (as n1 reports, may be stale)"
    assert tasks_line(lost) == "no tasks"


def test_a_plain_node_has_no_members_to_show() -> None:
    plain = picture("n1", STATUS, None, None, None)
    assert plain.rows == () and plain.leader == "n2"
    assert "no `membership` section" in shown(plain)


def test_load_is_drawn_in_tenths() -> None:
    _, second, tenth = picture("n1", STATUS, MEMBERS, POOL, TASKS).rows
    assert load_bar(second) == "█████·····"
    assert load_bar(tenth) == "··········"


def test_the_table_as_a_person_sees_it() -> None:
    reported = shown(picture("n1", STATUS, {**MEMBERS, "n3": {**member(3), "port": 10001}}, POOL, TASKS))
    assert "10.77.0.10 " in reported and "10.77.0.3:10001" in reported
    assert shown(Picture("n3", False)).strip() == "n3 does not answer"


def shown(seen: Picture) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(table_of(seen))
    return console.file.getvalue()  # type: ignore[attr-defined]

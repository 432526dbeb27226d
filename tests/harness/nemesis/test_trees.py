"""Which processes belong to the system, in tables that are made up."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from tribulation.harness.agent.processes import trees
from tribulation.harness.agent.processes.proc import Process

SSHD, SUPERVISOR, ROOT, AGENT = 10, 20, 30, 40
Row = tuple[int, int, int, int]
"""pid, parent, session, start time."""


def table(*rows: Row, stopped: Iterable[int] = ()) -> dict[int, Process]:
    base: tuple[Row, ...] = (
        (1, 0, 1, 0),
        (SSHD, 1, SSHD, 1),
        (SUPERVISOR, 1, SUPERVISOR, 2),
        (ROOT, SUPERVISOR, SUPERVISOR, 3),
        (AGENT, SSHD, AGENT, 9),
    )
    return {
        pid: Process(pid, "p", "T" if pid in stopped else "S", parent, session, session, started)
        for pid, parent, session, started in (*base, *rows)
    }


def members(
    found: dict[int, Process],
    seen: trees.Heads | None = None,
    root: int | None = ROOT,
    groups: dict[int, str] | None = None,
) -> set[int]:
    named = groups or {}
    belonging = trees.belonging(
        found, root, seen or {}, frozenset({1, AGENT, SSHD}), frozenset({SSHD}), lambda pid: [named.get(pid, "0::/")]
    )
    return set(belonging)


def test_descendants_also_in_sessions_of_their_own_and_what_they_left() -> None:
    rows: list[Row] = [(31, ROOT, SUPERVISOR, 4), (32, 31, 32, 5), (33, 1, 32, 6), (34, 1, SUPERVISOR, 7)]
    assert members(table(*rows)) == {ROOT, 31, 32, 33, 34}


def test_a_supervisor_its_other_children_and_what_was_there_before_do_not_belong() -> None:
    rows: list[Row] = [
        (21, SUPERVISOR, SUPERVISOR, 8),
        (22, 1, SUPERVISOR, 2),
        (23, 1, 23, 8),
        (24, AGENT, SUPERVISOR, 9),
    ]
    assert members(table(*rows)) == {ROOT}


def test_who_was_seen_belongs_under_any_parent_unless_it_is_another_of_that_number() -> None:
    rows: list[Row] = [(50, 1, 50, 4), (51, 1, 51, 8), (60, 1, 49, 5)]
    seen = {50: 4, 51: 5, 49: 4}
    assert members(table(*rows), seen) == {ROOT, 50, 60}, "49 has ended, and led the session of 60"
    assert members(table(*rows), seen, root=None) == {50, 60}, "what is left when the root has ended"


def test_a_control_group_of_its_own_holds_whoever_left_all_else() -> None:
    rows: list[Row] = [(35, 1, 35, 6), (36, 1, 36, 6)]
    own = dict.fromkeys((ROOT, SUPERVISOR, 35), "0::/system.slice/db.service")
    assert members(table(*rows), groups=own) == {ROOT, 35}
    assert members(table(*rows), groups={**own, SSHD: own[ROOT]}) == {ROOT}, "not its own: a login server is in it"
    login = dict.fromkeys((ROOT, 35), "0::/user.slice/session-3.scope")
    assert members(table(*rows), groups=login) == {ROOT}


def test_a_group_that_holds_others_too_is_not_signalled_as_one() -> None:
    found = table((31, ROOT, 31, 4))
    belonging = {pid: found[pid] for pid in (ROOT, 31)}
    assert trees.whole_groups(found, belonging) == {31}


ROWS = st.lists(
    st.tuples(st.integers(100, 120), st.integers(1, 120), st.integers(1, 120), st.integers(0, 12)),
    unique_by=lambda row: row[0],
)


@given(ROWS, st.dictionaries(st.integers(1, 120), st.integers(0, 12)), st.booleans())
def test_whatever_there_is_nobody_apart_belongs_and_no_child_is_left_out(
    rows: list[Row], seen: dict[int, int], running: bool
) -> None:
    found = table(*rows)
    root = ROOT if running else None
    belonging = members(found, seen, root)
    assert not belonging & {1, SSHD, AGENT} and (not running or SUPERVISOR not in belonging)
    barred = {1, SSHD, AGENT, *(trees.ancestors(found, ROOT) if running else ())}
    assert all(
        process.pid in belonging
        for process in found.values()
        if process.parent in belonging and process.pid not in barred
    )
    again = members(found, trees.still_heads(found, seen, {pid: found[pid] for pid in belonging}), root)
    assert again == belonging, "what is remembered changes nothing"

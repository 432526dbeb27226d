"""A window of trace lines as columns by event: what is as many as operations, without an object for a line.

Lines of other events, and lines that are not as a node ordinarily writes them, stand `apart`: they are read one by one. The types of fields are those
that `traces.lines` demands.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tribulation.histories.lines.forms import Run, Words
from tribulation.histories.lines.table import Group, LineTable

from ..base.quorum_weights import weights_of
from .facts import Counted, Survey, round_form
from .structures.log import INDICES
from .structures.rows import NONE, Int64

AT = 0
"""In all columns, the first one is the place of the line in the window."""
WIDTHS = {"append": 4, "apply": 4, "durable": 3, "commit": 5, "ack": 5, "read-confirmed": 3, "lease": 2}
"""Event → the number of its columns.

append, apply: one for each entry: at, index, term, crc. durable: at, index, term. commit: at, index, term (or `NONE`), claimed, counted. ack (of
writes): at, index, term (or 0), session, command. read-confirmed: at, index, form. lease: at, form. What `claimed` and others are codes of is in
`facts`.
"""
ALONE = frozenset({"snapshot", "digest"})
"""Events whose lines do not affect how other lines are read."""
_MOST_VOTERS = 32

Columns = dict[str, Int64]


@dataclass(slots=True)
class Window:
    """`columns` by event, `alone` and `apart`: the places of lines, in order."""

    columns: Columns
    alone: Int64
    apart: Int64

    def between(self, event: str, first: int, end: int) -> Int64:
        """Return the columns of lines from `first` to before `end`."""
        rows = self.columns[event]
        low, high = np.searchsorted(rows[AT], (first, end))
        return rows[:, low:high]


def window_of(lines: LineTable, node: str, facts: Survey, handled: Collection[str]) -> Window:
    """Return the window of these lines. `handled`: the events that the walk reads."""
    found: dict[str, list[Int64]] = {event: [] for event in WIDTHS}
    alone: list[Int64] = []
    apart = [np.array([at], np.intp) for at, line in lines.odd if line.get("event") in handled]
    for group in lines.groups:
        event = group.form.fields.get("event")
        if event in WIDTHS:
            columns = _columns(group, event, node, facts)
            if columns is None:
                apart.append(group.positions)
            else:
                found[event].append(columns)
        elif event in handled:
            (alone if event in ALONE else apart).append(group.positions)
    ordered = {event: _in_order(parts, WIDTHS[event]) for event, parts in found.items()}
    apart += [_interruptions(ordered[event]) for event in ("append", "apply")]
    return Window(ordered, _places(alone), np.unique(_places(apart)))


def _places(parts: Sequence[Any]) -> Int64:
    return np.sort(np.concatenate([np.zeros(0, np.intp), *parts]))


def _in_order(parts: Sequence[Int64], width: int) -> Int64:
    whole: Int64 = np.concatenate([np.zeros((width, 0), np.int64), *parts], axis=1)
    return whole[:, np.argsort(whole[AT], kind="stable")] if len(parts) > 1 else whole


def _interruptions(entries: Int64) -> Int64:
    """Return the lines of which an entry does not follow the one before it."""
    at, index = entries[:2]
    found: Int64 = at[1:][index[1:] != index[:-1] + 1]
    return found


def _columns(group: Group, event: str, node: str, facts: Survey) -> Int64 | None:
    """Return the columns of lines of one form; None for lines that are not as a node writes them."""
    names, _ = group.distinct(group.form.fields.get("node"))
    if names != [node]:
        return None
    return _READERS[event](group, group.form.fields, node, facts)


def _entries(group: Group, fields: dict[str, Any], node: str, facts: Survey) -> Int64 | None:
    entries = fields["entries"]
    if not all(_is_entry(entry) for entry in entries):
        return None
    if not entries:
        return np.zeros((4, 0), np.int64)
    runs = [np.stack([_of(group, entry[place]) for entry in entries], axis=1).ravel() for place in range(3)]
    if runs[0].min() < 0 or runs[0].max() >= INDICES or runs[1].min() < 0:
        return None
    return np.stack([np.repeat(group.positions, len(entries)), *runs])


def _is_entry(entry: Any) -> bool:
    return type(entry) is tuple and len(entry) == 3 and all(type(one) is Run for one in entry)


def _of(group: Group, value: Any) -> Int64:
    numbers = group.numbers(value)
    assert numbers is not None
    return numbers


def _durable(group: Group, fields: dict[str, Any], node: str, facts: Survey) -> Int64 | None:
    index, term = fields["index"], fields["term"]
    if type(term) is not Run:
        return None
    return np.stack([group.positions, _of(group, index), _of(group, term)])


def _commit(group: Group, fields: dict[str, Any], node: str, facts: Survey) -> Int64 | None:
    match, voters, place, term = fields["match"], fields["voters"], fields["index"], fields.get("term")
    if len(match.items) > _MOST_VOTERS:
        return None
    index = _of(group, place)
    bits = np.zeros(len(group), np.int64)
    for number, (_, durable) in enumerate(match.items):
        bits |= (_of(group, durable) >= index).astype(np.int64) << number
    names, which = group.distinct(tuple(name for name, _ in match.items))
    keys, counted = np.unique(which << _MOST_VOTERS | bits, return_inverse=True)
    counts = [_counted(node, names[key >> _MOST_VOTERS], key) for key in keys.tolist()]
    claims, claimed = group.distinct(voters)
    return np.stack(
        [
            group.positions,
            index,
            np.full(len(group), NONE) if term is None else _of(group, term),
            facts.commits.weights.of_each([weights_of(claim) for claim in claims], claimed),
            facts.commits.counts.of_each(counts, counted),
        ]
    )


def _counted(node: str, names: Sequence[str], bits: int) -> Counted:
    matched = frozenset(name for number, name in enumerate(names) if bits >> number & 1)
    return Counted(matched, matched if node in names else matched | {node})


def _ack(group: Group, fields: dict[str, Any], node: str, facts: Survey) -> Int64 | None:
    if fields["kind"] != "write":
        return np.zeros((5, 0), np.int64)
    index, term, session, command = (fields.get(name) for name in ("index", "term", "session", "command"))
    if type(command) is not Run or type(session) not in (Run, Words, str, type(None)):
        return None
    sessions, which = group.distinct(session)
    return np.stack(
        [
            group.positions,
            _of(group, index),
            np.zeros(len(group), np.int64) if term is None else _of(group, term),
            facts.acks.sessions.of_each(sessions, which),
            _of(group, command),
        ]
    )


def _round(group: Group, fields: dict[str, Any], node: str, facts: Survey) -> Int64 | None:
    acks, voters, index = fields["acks"], fields["voters"], fields["index"]
    found, which = group.distinct((acks, voters))
    forms = [round_form(node, names, claim) for names, claim in found]
    return np.stack([group.positions, _of(group, index), facts.confirmations.forms.of_each(forms, which)])


def _lease(group: Group, fields: dict[str, Any], node: str, facts: Survey) -> Int64 | None:
    clock = fields["clock"]
    if type(clock) not in (str, type(None)):
        return None
    return np.stack([group.positions, facts.leases.forms.of_each([(node, clock)], np.zeros(len(group), np.int64))])


_READERS: dict[str, Callable[[Group, dict[str, Any], str, Survey], Int64 | None]] = {
    "append": _entries,
    "apply": _entries,
    "durable": _durable,
    "commit": _commit,
    "ack": _ack,
    "read-confirmed": _round,
    "lease": _lease,
}

"""Filter for trace lines: those with the header and the fields, each of its type, that the nodes of the reference cluster write.

A host may send anything. A line that does not match docs/reference/traces.md is removed from what checkers see and is a gap of that node's trace, so
nothing rests on its absence. A trace without any line that has the header belongs to another system: it is removed entirely, and has no gap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from operator import itemgetter
from typing import Any

import numpy as np

from tribulation.histories.lines.table import LineTable

from ..base.result import Gap, RunRecord
from .traces import LIMIT, REQUIRED, Line

_LIST, _MAP = (list, tuple), (dict,)
_HEADER: dict[str, tuple[type, ...]] = {
    "node": (str,),
    "incarnation": (int,),
    "seq": (int,),
    "mono_ns": (int,),
    "event": (str,),
}
_FIELDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("term", "last_index", "last_term", "snapshot_index", "index", "until_ns", "epoch", "count", "places"), (int,)),
    **dict.fromkeys(("pause_ns", "keys", "bytes", "low", "high", "took_ns", "target_incarnation"), (int, type(None))),
    "records": (int, list, tuple, type(None)),  # how many were synced, or which tombstones were forgotten
    **dict.fromkeys(("agent", "task", "worker", "target", "record", "candidate", "clock"), (str, type(None))),
    **dict.fromkeys(("match", "voters"), _MAP),
    **dict.fromkeys(("entries", "votes", "acks"), _LIST),
}  # fmt: skip
"""A field of one name has one type in all events."""
_MAY_BE_NONE = {("durable", "term")}
"""An entry that a snapshot covers by the time its write ended: the log no longer has its term."""
_WEIGHTS = ("match", "voters")
_NODES = ("votes", "acks")
_OF_EVENT: dict[str, tuple[str, ...]] = {
    **REQUIRED,
    **dict.fromkeys(("agent-started", "agent-stopped", "agent-suspended", "agent-standing", "agent-move-cancelled"), ("agent", "epoch")),
    "agent-switched": ("agent", "epoch"),
    "capacity": ("places",),
    "suspect": ("target",),
    "trust": ("target",),
    "view": ("epoch", "members"),
    "lifecycle": ("to",),
}  # fmt: skip


def with_understood_traces(record: RunRecord) -> RunRecord:
    """Return the record with the trace lines that checkers understand, and a gap for each node of which others were removed."""
    traces: dict[str, Sequence[Line]] = {}
    gaps = []
    for node, lines in record.traces.items():
        wrong = _problems(lines)
        if len(wrong) == len(lines) and not _has_numbers(lines):
            continue
        if not wrong:
            traces[node] = lines
            continue
        left_out = {number for number, _ in wrong}
        kept = np.array([number not in left_out for number in range(1, len(lines) + 1)], np.bool_)
        traces[node] = lines.take(np.flatnonzero(kept)) if isinstance(lines, LineTable) else list(compress(lines, kept))
        more = f"; {len(wrong) - 1} further lines are not either" if len(wrong) > 1 else ""
        gaps.append(Gap("trace", node, f"line {wrong[0][0]} is not one that a node writes: {wrong[0][1]}{more}"))
    return record if traces == record.traces else replace(record, traces=traces, gaps=(*record.gaps, *gaps))


def _has_numbers(lines: Sequence[Line]) -> bool:
    if isinstance(lines, LineTable):
        return any("seq" in group.form.fields for group in lines.groups) or any("seq" in line for _, line in lines.odd)
    return any("seq" in line for line in lines)


def _problems(lines: Sequence[Line]) -> list[tuple[int, str]]:
    """Return the number (from 1) of each line that cannot be parsed, and why.

    Most lines of a trace are alike: what depends on a line's form alone is found once for each form.
    """
    if isinstance(lines, LineTable):
        return _problems_of_table(lines)
    forms: dict[Any, _Form | None] = {}
    wrong = []
    for number, line in enumerate(lines, start=1):
        values = line.values()
        shape = (line.get("event"), *line, *map(type, values))
        try:
            form = forms[shape]
        except KeyError:
            form = forms[shape] = _Form.of(line)
        except TypeError:
            form = None
        if form is None or not form.holds(line):
            why = problem(line)
            if why is not None:
                wrong.append((number, why))
    return wrong


def _problems_of_table(lines: LineTable) -> list[tuple[int, str]]:
    """Return the same for a table. `problem` is called once for each form: its numbers do not matter, since all are far from the bounds."""
    suspects = [at for at, _ in lines.odd]
    for group in lines.groups:
        if problem(group.form.example) is not None:
            suspects += group.positions.tolist()
    found = [(at + 1, problem(lines[at])) for at in sorted(suspects)]
    return [(number, why) for number, why in found if why is not None]


@dataclass(frozen=True, slots=True)
class _Form:
    """Form of a line that can be parsed: names and types of its fields. What depends on values is left to `holds`: integers in bounds, and the content of
    lists and maps.
    """

    integers: Callable[[Line], tuple[int, ...]]
    maps: tuple[str, ...]
    nodes: tuple[str, ...]
    entries: bool

    @classmethod
    def of(cls, line: Line) -> _Form | None:
        """Return the form of a line; None where a line of this form may not be one of a node."""
        checked = {*_HEADER, *_FIELDS, "from"}
        integers = [name for name, value in line.items() if name in checked and type(value) is int]
        tame = {**line, **dict.fromkeys(integers, 0)}
        tame |= {name: {} for name in _WEIGHTS if type(line.get(name)) is dict}
        tame |= {name: [] for name in (*_NODES, "entries") if type(line.get(name)) in _LIST}
        if len(integers) < 2 or problem(tame) is not None:
            return None
        maps, nodes = (tuple(name for name in names if name in line) for names in (_WEIGHTS, _NODES))
        return cls(itemgetter(*integers), maps, nodes, "entries" in line)

    def holds(self, line: Line) -> bool:
        integers = self.integers(line)
        if min(integers) < -LIMIT or max(integers) > LIMIT:
            return False
        if self.entries and not all(map(_is_entry, line["entries"])):
            return False
        if not all(type(node) is str for name in self.nodes for node in line[name]):
            return False
        return all(_is_small(value) for name in self.maps for value in line[name].values())


def problem(line: Line) -> str | None:
    """Return why a line cannot be parsed; None if it can."""
    for name, kinds in _HEADER.items():
        if not _is(line.get(name), kinds):
            return f"no {name}" if name not in line else f"{name} is {_brief(line[name])}"
    for name in _OF_EVENT.get(line["event"], ()):
        if name not in line:
            return f"{line['event']} without {name}"
    for name, value in line.items():
        found = _FIELDS.get(name)
        if value is None and (line["event"], name) in _MAY_BE_NONE:
            continue
        if found is not None and not _is(value, found):
            return f"{line['event']} has {name} {_brief(value)}"
    if "entries" in line and not all(_is_entry(entry) for entry in line["entries"]):
        return "entries are not [index, term, …]"
    if any(not all(_is(value, (int,)) for value in line[name].values()) for name in _WEIGHTS if name in line):
        return "match or voters are not integers by node"
    if any(not all(_is(node, (str,)) for node in line[name]) for name in _NODES if name in line):
        return "votes or acks are not names of nodes"
    if line["event"] == "truncate" and not _is(line["from"], (int,)):
        return f"from is {_brief(line['from'])}"
    return None


def _is(value: Any, kinds: tuple[type, ...]) -> bool:
    return type(value) in kinds and (type(value) is not int or -LIMIT <= value <= LIMIT)


def _is_small(value: Any) -> bool:
    return type(value) is int and -LIMIT <= value <= LIMIT


def _is_entry(entry: Any) -> bool:
    return type(entry) in _LIST and len(entry) > 2 and _is_small(entry[0]) and _is_small(entry[1])


def _brief(value: Any) -> str:
    if isinstance(value, int) and not -LIMIT <= value <= LIMIT:
        return "beyond 2^62"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"

"""Every anomaly of transactions as a story of a few, which is put into the middle of a history, on keys of its own.

A line is a transaction: from when to when it was open (moments of one story; what touches is concurrent), what it did, and how it ended if not in ok.
`ax1` appends 1 to x, `wx1` writes it, `rx1,2` read a list, `rx` the empty one, `rx1` a value, `rx_` nothing yet. Each is a process of its own, unless it
names one.
"""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import Any

import numpy as np

from tribulation.histories import Event, Type
from tribulation.histories.files.building import columns_of_events
from tribulation.histories.model.columns import ABSENT, NONE_ID, OPEN, Columns, Int32, Int64, Lists, Txns

from .changes import Plant
from .schedule import TICK_NS

LISTS: dict[str, tuple[str, ...]] = {
    "internal": ("0-1 rx ax1 rx",),
    "future-read": ("0-1 rx1 ax1",),
    "thin-air-read": ("0-1 ax1", "2-3 rx1,7"),
    "duplicate-elements": ("0-1 ax1", "2-3 rx1,1"),
    "incompatible-order": ("0-1 ax1", "0-1 ax2", "2-3 rx1", "2-3 rx2"),
    "G1a": ("0-1 ax1 fail", "2-3 rx1"),
    "dirty-update": ("0-1 ax1 fail", "2-3 ax2", "4-5 rx1,2"),
    "G1b": ("0-1 ax1 ax2", "0-1 rx1", "2-3 rx1,2"),
    "lost-update": ("0-1 rx ax1", "0-1 rx ax2", "2-3 rx1,2"),
    "G0": ("0-1 ax1 ay1", "0-1 ax2 ay2", "2-3 rx1,2 ry2,1"),
    "G1c": ("0-1 ax1 ry1", "0-1 ay1 rx1"),
    "G-single": ("0-1 ax1 ay1", "0-1 rx1 ry"),
    "G-nonadjacent": ("0-1 ax1", "0-1 ay1", "0-1 rx1 ry", "0-1 rx ry1"),
    "G2-item": ("0-1 ax1 ry", "0-1 ay1 rx"),
    "G0-realtime": ("0-1 ax1", "2-3 ax2", "4-5 rx2,1"),
    "G1c-realtime": ("0-1 rx1", "2-3 ax1"),
    "G-single-realtime": ("0-1 ax1", "2-3 rx"),
    "G-nonadjacent-realtime": ("0-1 ay1", "0-5 rx1 ry", "0-5 ax1", "2-3 rx"),
    "G2-item-realtime": ("0-1 ay1", "0-4 ax1 ry", "2-3 rx"),
    "G0-process": ("p0 0-1 ax1", "p0 2-3 ax2", "4-5 rx2,1"),
    "G1c-process": ("p0 0-1 rx1", "p0 2-3 ax1"),
    "G-single-process": ("p0 0-1 ax1", "p0 2-3 rx"),
    "G-nonadjacent-process": ("p0 0-1 ay1", "0-5 rx1 ry", "0-5 ax1", "p0 2-3 rx"),
    "G2-item-process": ("p0 0-1 ay1", "0-4 ax1 ry", "p0 2-3 rx"),
}

REGISTERS: dict[str, tuple[str, ...]] = {
    "internal": ("0-1 wx1 rx2", "0-1 wx2"),
    "future-read": ("0-1 rx1 wx1",),
    "thin-air-read": ("0-1 wx1", "2-3 rx7"),
    "G1a": ("0-1 wx1 fail", "2-3 rx1"),
    "G1b": ("0-1 wx1 wx2", "0-1 rx1"),
    "cyclic-versions": ("0-1 rx1 wx2", "0-1 rx2 wx1"),
    "lost-update": ("0-1 rx_ wx1", "0-1 rx_ wx2"),
    "G1c": ("0-1 wx1 ry1", "0-1 wy1 rx1"),
    "G-single": ("0-1 wx1 wy1", "0-1 rx1 ry_"),
    "G-nonadjacent": ("0-1 wx1", "0-1 wy1", "0-1 rx1 ry_", "0-1 rx_ ry1"),
    "G2-item": ("0-1 wx1 ry_", "0-1 wy1 rx_"),
    "G1c-realtime": ("0-1 rx1", "2-3 wx1"),
    "G-single-realtime": ("0-1 wx1", "2-3 wx2", "4-5 rx1"),
    "G2-item-realtime": ("0-1 wy1", "0-4 wx1 ry_", "2-3 rx_"),
    "G1c-process": ("p0 0-1 rx1", "p0 2-3 wx1"),
    "G-single-process": ("p0 0-1 wx1", "p0 2-3 rx_"),
    "G2-item-process": ("p0 0-1 wy1", "0-4 wx1 ry_", "p0 2-3 rx_"),
}

_LINE = re.compile(r"(?:p(?P<process>\d+) )?(?P<begin>\d+)-(?P<end>\d+) (?P<ops>.*?)(?: (?P<outcome>fail|info))?$")
_OP = re.compile(r"(?P<f>[arw])(?P<key>[a-z])(?P<value>\S*)")
_F = {"a": "append", "r": "r", "w": "w"}


def plant_of(lines: tuple[str, ...], lists: bool) -> Plant:
    """The story, in the middle of a history."""

    def into(columns: Columns, chance: np.random.Generator) -> Columns | None:
        if not len(columns):
            return None
        row = int(len(columns) * chance.uniform(0.3, 0.7))
        return spliced(columns, columns_of_events(events(lines, lists)), int(columns.invoke[row]))

    return into


def events(lines: tuple[str, ...], lists: bool) -> list[Event]:
    """A story by itself. Keys and values have names that no generated history has."""
    moments: list[tuple[int, bool, int]] = []
    steps: list[tuple[int, Type, list[list[Any]]]] = []
    for number, line in enumerate(lines):
        match = _LINE.match(line)
        assert match is not None, line
        process = number if match["process"] is None else len(lines) + int(match["process"])
        ops = [
            [_F[op["f"]], f"story-{op['key']}", _value(op["f"], op["value"], lists)]
            for op in _OP.finditer(match["ops"])
        ]
        steps.append((process, Type(match["outcome"] or "ok"), ops))
        moments += [(int(match["begin"]), False, number), (int(match["end"]), True, number)]
    found = []
    for index, (_, done, number) in enumerate(sorted(moments)):
        process, outcome, ops = steps[number]
        known = done and outcome is Type.OK
        value = [[f, key, None if f == "r" and not known else value] for f, key, value in ops]
        found.append(Event(index, index * TICK_NS, process, outcome if done else Type.INVOKE, "txn", value))
    return found


def _value(f: str, text: str, lists: bool) -> Any:
    if text == "_":
        return None
    values = [f"story-{part}" for part in text.split(",") if part]
    return values if lists and f == "r" else values[0]


def spliced(columns: Columns, story: Columns, position: int) -> Columns:
    """The history with all of the story at once before what had that position. Names of the two are taken to differ."""
    assert columns.txns is not None and story.txns is not None
    shift = 2 * len(story)
    earlier = replace(
        columns,
        invoke=_later(columns.invoke, position, shift),
        complete=_later(columns.complete, position, shift),
        invoke_ns=_later(columns.invoke_ns, position * TICK_NS, shift * TICK_NS),
        complete_ns=_later(columns.complete_ns, position * TICK_NS, shift * TICK_NS),
    )
    f = list(columns.f_names).index("txn")
    added = replace(
        story,
        f=np.full(len(story), f, np.uint8),
        process=story.process + np.int32(len(columns.processes)),
        invoke=story.invoke + position,
        complete=np.where(story.complete == OPEN, OPEN, story.complete + position),
        invoke_ns=story.invoke_ns + position * TICK_NS,
        complete_ns=story.complete_ns + position * TICK_NS,
        argument_txn=_moved(story.argument_txn, len(columns.txns.offsets) - 1),
        result_txn=_moved(story.result_txn, len(columns.txns.offsets) - 1),
    )
    order = np.argsort(np.concatenate([earlier.invoke, added.invoke]), kind="stable")
    rows = {
        field.name: np.concatenate([getattr(earlier, field.name), getattr(added, field.name)])[order]
        for field in fields(Columns)
        if isinstance(getattr(earlier, field.name), np.ndarray)
    }
    return replace(
        earlier,
        **rows,
        processes=range(len(columns.processes) + len(story.processes)),
        keys=[*columns.keys, *story.keys],
        values=[*columns.values, *story.values[1:]],
        lists=_joined_lists(columns, story),
        txns=_joined_txns(columns.txns, story.txns, columns),
    )


def _later(positions: Int64, start: int, by: int) -> Int64:
    moved = positions.copy()
    moved[(positions >= start) & (positions != OPEN)] += by
    return moved


def _moved(numbers: Int32, by: int) -> Int32:
    return np.where(numbers == ABSENT, ABSENT, numbers + by).astype(np.int32)


def _values(ids: Int32, columns: Columns) -> Int32:
    """A story's value ids among those of both: None is one, all others come after the history's."""
    return np.where(ids > NONE_ID, ids + len(columns.values) - 1, ids).astype(np.int32)


def _joined_lists(columns: Columns, story: Columns) -> Lists:
    return Lists(
        np.concatenate([columns.lists.offsets, story.lists.offsets[1:] + columns.lists.offsets[-1]]),
        np.concatenate([columns.lists.items, _values(story.lists.items, columns)]),
    )


def _joined_txns(txns: Txns, story: Txns, columns: Columns) -> Txns:
    return Txns(
        offsets=np.concatenate([txns.offsets, story.offsets[1:] + txns.offsets[-1]]),
        kind=np.concatenate([txns.kind, story.kind]),
        key=np.concatenate([txns.key, story.key + np.int32(len(columns.keys))]),
        value=np.concatenate([txns.value, _values(story.value, columns)]),
        list=np.concatenate([txns.list, _moved(story.list, len(columns.lists.offsets) - 1)]),
    )

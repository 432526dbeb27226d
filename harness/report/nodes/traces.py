"""The lines of the nodes' traces that belong on the page, in one pass over each file.

A trace has a line for each append and each answer: a kind of event that a node wrote often is shown only near the moments that matter, and
every other kind entirely. At most `MOST_BYTES` of each file are read, and a note names files that are longer.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tribulation.checkers.traces.traces import ANYTIME, Clocks
from tribulation.histories.files.codec import decode_value
from tribulation.histories.files.opening import open_regular

from .lines import Line, of_trace

MOST_BYTES = 512 << 20
MOST_OF_A_KIND = 200
MOST_STRUCTURAL = 2000
STRUCTURAL = frozenset((b"start", b"leader", b"follower", b"halt", b"config"))
"""The events from which the states of nodes and the voters over time are computed."""
NEAR_NS = 40_000_000
MOST_NEAR = 14
"""Lines around each moment, the nearest ones."""
_MOST_CANDIDATES = 2000
_EVENT = re.compile(rb'"event": ?"([a-z-]{1,40})"')
_MONO = re.compile(rb'"mono_ns": ?(\d{1,19})\b')
_BOOT = re.compile(rb'"incarnation": ?(\d{1,9})\b')


@dataclass(slots=True)
class _Kept:
    """Raw lines of one node: by event, as long as there are few of it, and near the moments."""

    by_event: dict[bytes, list[bytes]] = field(default_factory=dict)
    often: set[bytes] = field(default_factory=set)
    near: dict[int, list[tuple[int, bytes, bytes]]] = field(default_factory=dict)

    def add(self, event: bytes, raw: bytes) -> None:
        if event in self.often:
            return
        lines = self.by_event.setdefault(event, [])
        lines.append(raw)
        structural = event in STRUCTURAL
        if len(lines) > (MOST_STRUCTURAL if structural else MOST_OF_A_KIND):
            self.often.add(event)
            if not structural:
                lines.clear()

    def add_near(self, moment_ns: int, distance_ns: int, event: bytes, raw: bytes) -> None:
        lines = self.near.setdefault(moment_ns, [])
        if len(lines) < _MOST_CANDIDATES:
            lines.append((distance_ns, event, raw))

    def chosen(self) -> Iterator[bytes]:
        for lines in self.by_event.values():
            yield from lines
        for near in self.near.values():
            nearest = sorted(near, key=lambda one: one[0])[:MOST_NEAR]
            yield from (raw for _, event, raw in nearest if event in self.often)


def read_traces(folder: Path, clocks: Clocks, moments_ns: Mapping[str, Sequence[int]], notes: list[str]) -> list[Line]:
    """Lines of all traces below `folder`; `moments_ns` are the moments that matter, by node."""
    found: list[Line] = []
    if folder.is_symlink():
        return found
    for path in sorted(folder.glob("*.jsonl")):
        try:
            kept = _read(path, clocks, sorted(moments_ns.get(path.stem, ())), notes)
        except OSError as error:
            notes.append(f"trace/{path.name} cannot be read: {error.strerror}")
            continue
        found += [line for raw in dict.fromkeys(kept.chosen()) if (line := _line(path.stem, raw, clocks)) is not None]
    return found


def _read(path: Path, clocks: Clocks, moments_ns: Sequence[int], notes: list[str]) -> _Kept:
    kept, read = _Kept(), 0
    with open_regular(path) as file:
        for raw in iter(lambda: file.readline(1 << 20), b""):
            read += len(raw)
            if read > MOST_BYTES:
                notes.append(f"Only the first {MOST_BYTES >> 20} MiB of trace/{path.name} are on this page.")
                break
            event = _EVENT.search(raw)
            if event is None:
                continue
            kept.add(event[1], raw)
            if moments_ns and (at_ns := _time(path.stem, raw, clocks)) is not None:
                for moment_ns in _around(moments_ns, at_ns):
                    kept.add_near(moment_ns, abs(at_ns - moment_ns), event[1], raw)
    return kept


def _around(moments_ns: Sequence[int], at_ns: int) -> Iterator[int]:
    first = bisect_left(moments_ns, at_ns - NEAR_NS)
    for moment_ns in moments_ns[first:]:
        if moment_ns > at_ns + NEAR_NS:
            break
        yield moment_ns


def _time(node: str, raw: bytes, clocks: Clocks) -> int | None:
    mono, boot = _MONO.search(raw), _BOOT.search(raw)
    return None if mono is None else placed(clocks, node, int(mono[1]), int(boot[1]) if boot else 0)


def placed(clocks: Clocks, node: str, mono_ns: Any, boot: Any = 0) -> int | None:
    """The run's time in the middle of what is possible, None without a known offset."""
    if type(mono_ns) is not int or type(boot) is not int:
        return None
    place = clocks.place(node, mono_ns, boot)
    return None if place == ANYTIME else (place.low_ns + place.high_ns) // 2


def _line(node: str, raw: bytes, clocks: Clocks) -> Line | None:
    try:
        fields = decode_value(raw)
    except ValueError:
        return None
    if not isinstance(fields, dict):
        return None
    return of_trace(node, placed(clocks, node, fields.get("mono_ns"), fields.get("incarnation", 0)), fields)

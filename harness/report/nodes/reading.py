"""Reads what the nodes of a run wrote: traces and logs, placed on the run's time by the offsets of `run.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypedDict

from msgspec import Meta

from tribulation.checkers.traces.traces import Clocks

from ...evidence.documents import DocumentError, read_document, typed
from .lines import Line
from .logs import read_logs
from .messages import Message, read_messages
from .traces import read_traces

_TimeNs = Annotated[int, Meta(ge=-(1 << 62), le=1 << 62)]
_Offset = tuple[_TimeNs, _TimeNs]


class _RunShape(TypedDict, total=False):
    nodes: list[str]
    clock_offsets_ns: dict[str, _Offset]
    boot_offsets_ns: dict[str, dict[str, _Offset]]


@dataclass(frozen=True, slots=True)
class Said:
    """`lines` are in the order of time, those without a time last. `nodes` are the run's nodes by `run.json`."""

    lines: Sequence[Line] = ()
    nodes: Sequence[str] = ()
    clocks: Clocks = field(default_factory=lambda: Clocks({}))
    notes: Sequence[str] = ()
    messages: Sequence[Message] = ()


def read_nodes(folder: Path, moments_ns: Mapping[str, Sequence[int]]) -> Said:
    notes: list[str] = []
    run = _run(folder / "run.json", notes)
    boots = {
        node: {int(first): offset for first, offset in its.items() if first.isdecimal()}
        for node, its in run.get("boot_offsets_ns", {}).items()
    }
    clocks = Clocks(run.get("clock_offsets_ns", {}), boots)
    lines = [*read_traces(folder / "trace", clocks, moments_ns, notes), *read_logs(folder / "logs", clocks, notes)]
    lines.sort(key=lambda line: (line.at_ns is None, line.at_ns or 0))
    messages = read_messages(folder, notes)
    return Said(lines, run.get("nodes", []), clocks, notes, messages)


def _run(path: Path, notes: list[str]) -> _RunShape:
    try:
        document = read_document(path)
        typed(document, _RunShape)
    except FileNotFoundError:
        return {}
    except (DocumentError, OSError) as error:
        notes.append(f"run.json cannot be read, so the times of trace lines are not known: {error}")
        return {}
    return _RunShape(
        nodes=document.get("nodes", []),
        clock_offsets_ns={node: (at, error) for node, (at, error) in document.get("clock_offsets_ns", {}).items()},
        boot_offsets_ns=document.get("boot_offsets_ns", {}),
    )

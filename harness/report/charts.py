"""The data that the page's script draws: operations, faults, states of nodes, their lines, rates, clocks. Pure.

Operations and lines are in columns (one list for each field), with times in whole microseconds and repeated texts as numbers of a list: a hundred
thousand operations as objects would be several times as large. All other times are in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tribulation.checkers.base.result import Fault
from tribulation.histories import Operation

from . import series, words
from .load import ClockSample, RunFiles
from .nodes.lines import LEVELS, Line
from .nodes.reading import Said
from .nodes.states import Span
from .nodes.voters import configurations

MOST_DRAWN = 100_000
MOST_LINES = 6000


class _Numbered:
    """Texts in the order of their first use."""

    def __init__(self) -> None:
        self.texts: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        return self.texts.setdefault(text, len(self.texts))


def charts(
    run: RunFiles,
    said: Said,
    spans: Sequence[Span],
    operations: Sequence[Operation],
    proof: frozenset[int],
    end_ns: int,
) -> tuple[dict[str, Any], list[str]]:
    """Return the data, and notes about omitted parts."""
    drawn = series.chosen(operations, MOST_DRAWN, proof)
    lines, notes = _chosen_lines(said.lines)
    if len(drawn) < len(operations):
        notes.append(
            f"The timeline has {len(drawn):,} of {len(operations):,} operations: those of witnesses, and a regular sample of the others. "
            "Tables, rates and quantiles count all of them."
        )
    seats = series.lanes(operations, end_ns)
    rates = series.rates(operations, end_ns)
    names = dict.fromkeys(
        [*said.nodes, *sorted({op.node for op in operations if op.node} | {line.node for line in lines})]
    )
    data = {
        "end_s": end_ns / 1e9,
        "nodes": list(names),
        "lanes": seats.names,
        "ops": _operations(drawn, seats, proof),
        "bucket_s": rates.bucket_s,
        "middle_s": rates.middle_s,
        "per_s": rates.per_s,
        "latency_ms": rates.latency_ms,
        "faults": [_band(fault, end_ns) for fault in run.faults],
        "spans": [[span.node, span.from_ns / 1e9, span.until_ns / 1e9, span.state, span.term] for span in spans],
        "voters": [
            [one.from_ns / 1e9, one.until_ns / 1e9, one.term, one.voters] for one in configurations(lines, end_ns)
        ],
        "lines": _lines(lines),
        "phases": [
            ["settled" if name == "quiet_end" else str(name).replace("_", " "), at / 1e9]
            for name, at in (run.verdict.get("phases") or {}).items()
            if at is not None
        ],
        "clocks": _clocks(run.clocks),
    }
    return data, notes


def _operations(drawn: Sequence[Operation], seats: series.Lanes, proof: frozenset[int]) -> dict[str, Any]:
    """Pack operations for the page; `at` and `index` are differences to the operation before; `took` of one that was never answered is -1. The text
    is a head and a rest.
    """
    heads, nodes, errors, workloads, processes = _Numbered(), _Numbered(), _Numbered(), _Numbered(), _Numbered()
    texts = [words.operation(op) for op in drawn]
    split = [_split(text, op) for text, op in zip(texts, drawn, strict=True)]
    at_us = [op.invoke_ns // 1000 for op in drawn]
    columns: dict[str, Any] = {
        "index": _differences([op.invoke_index for op in drawn]),
        "at": _differences(at_us),
        "took": [
            -1 if op.complete_ns is None else max(0, op.complete_ns // 1000 - begun)
            for op, begun in zip(drawn, at_us, strict=True)
        ],
        "lane": [seats.of[op.process] for op in drawn],
        "process": [processes(str(op.process)) for op in drawn],
        "outcome": [series.OUTCOMES.index(op.type) for op in drawn],
        "head": [heads(head) for head, _ in split],
        "rest": [rest for _, rest in split],
        "node": [nodes(op.node or "") for op in drawn],
        "error": [errors(op.error or "") for op in drawn],
        "workload": [workloads(str(op.workload or "")) for op in drawn],
        "proof": [at for at, op in enumerate(drawn) if op.invoke_index in proof],
    }
    named = {"heads": heads, "nodes": nodes, "errors": errors, "workloads": workloads, "processes": processes}
    return columns | {name: list(numbered.texts) for name, numbered in named.items()}


def _split(text: str, op: Operation) -> tuple[str, str]:
    """Split the text into the repeated part (the operation and its key), and its values."""
    length = len(op.f) + 1 + (0 if op.key is None else len(words.value(op.key)) + 1)
    return text[:length], text[length:]


def _differences(numbers: Sequence[int]) -> list[int]:
    return [number - before for before, number in zip([0, *numbers], numbers, strict=False)]


def _chosen_lines(lines: Sequence[Line]) -> tuple[list[Line], list[str]]:
    """Choose as many lines as fit: warnings and errors first, then lines of traces, then the others; of each, the earliest."""
    if len(lines) <= MOST_LINES:
        return list(lines), []
    order = sorted(range(len(lines)), key=lambda at: (lines[at].level == "info", lines[at].event == "", at))
    kept = [lines[at] for at in sorted(order[:MOST_LINES])]
    return kept, [
        f"This page has {MOST_LINES:,} of {len(lines):,} lines of traces and logs, warnings and errors first."
    ]


def _lines(lines: Iterable[Line]) -> dict[str, Any]:
    """Pack lines for the page; `at` is in microseconds, null where it is unknown."""
    nodes, sources = _Numbered(), _Numbered()
    rows = list(lines)
    return {
        "at": [None if line.at_ns is None else line.at_ns // 1000 for line in rows],
        "node": [nodes(line.node) for line in rows],
        "source": [sources(line.source) for line in rows],
        "level": [LEVELS.index(line.level) for line in rows],
        "text": [line.text for line in rows],
        "nodes": list(nodes.texts),
        "sources": list(sources.texts),
    }


def _band(fault: Fault, end_ns: int) -> dict[str, Any]:
    """A fault in seconds. A mark that was never reached (a crash, or a fault without an end) becomes the end of the run."""
    marks = [fault.start_ns, fault.injected_ns, fault.heal_ns, fault.healed_ns]
    start_s, injected_s, heal_s, healed_s = ((end_ns if mark is None else mark) / 1e9 for mark in marks)
    edges = fault.intended.get("edges")
    return {
        "id": fault.id,
        "kind": words.called(fault.kind),
        "text": words.described(fault).removeprefix(words.called(fault.kind)).lstrip(": "),
        "verified": fault.verified,
        "start": start_s,
        "injected": injected_s,
        "heal": heal_s,
        "healed": healed_s,
        "edges": _pairs(edges) if fault.kind == "cut" and isinstance(edges, list) else [],
    }


def _pairs(edges: Sequence[Any]) -> list[list[str]]:
    return [list(map(str, edge)) for edge in edges if isinstance(edge, list | tuple) and len(edge) == 2]


def _clocks(samples: Iterable[ClockSample]) -> Mapping[str, Mapping[str, list[float]]]:
    hosts: dict[str, dict[str, list[float]]] = {}
    for sample in samples:
        line = hosts.setdefault(sample.host, {"at": [], "offset_ms": [], "error_ms": []})
        line["at"].append(sample.time_ns / 1e9)
        line["offset_ms"].append(sample.offset_ns / 1e6)
        line["error_ms"].append(sample.error_ns / 1e6)
    return hosts

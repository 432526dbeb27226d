"""Traces that were read as tables of lines give the answers of the same traces as objects."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tribulation.checkers.raft.survey as survey_module
from tests.full import examples
from tribulation.checkers import Budget, RunRecord, check
from tribulation.checkers.base.budget import Meter
from tribulation.checkers.base.findings import Findings
from tribulation.checkers.base.result import Gap
from tribulation.checkers.raft.structures.durability import DurableHistory, Moment, outside
from tribulation.checkers.raft.survey import survey
from tribulation.checkers.traces.traces import ANYTIME, read_traces, trace_gaps
from tribulation.histories.files.codec import decode_once, encode_fields
from tribulation.histories.lines.table import LineTable, TableBuilder

from .golden import traced
from .tiny_raft import tiny_run


def tabled(record: RunRecord) -> RunRecord:
    traces = {}
    for node, lines in record.traces.items():
        builder = TableBuilder(decode_once)
        for line in lines:
            builder.add(encode_fields(line) + b"\n")
        traces[node] = builder.finish()
    assert all(isinstance(lines, LineTable) for lines in traces.values())
    return replace(record, traces=traces)


@pytest.mark.parametrize("seed", range(60))
def test_the_answers_to_a_damaged_run(seed: int) -> None:
    record = traced.run(seed)
    gaps = tuple[Gap, ...](trace_gaps(record.traces))
    assert trace_gaps(tabled(record).traces) == list(gaps)
    assert check(tabled(record)) == check(record)


def whole(record: RunRecord) -> tuple[object, ...]:
    """All facts of a survey, and what it proves."""
    findings = Findings()
    facts = survey(read_traces(record), findings, Meter.of(Budget()))
    return (
        [(reign.line, reign.last_term, reign.in_force, reign.begins, reign.ends) for reign in facts.reigns],
        [facts.commits.get(row) for row in range(len(facts.commits))],
        [facts.commits.counts.values[code] for code in facts.commits.column("counted")],
        [facts.acks.get(row) for row in range(len(facts.acks))],
        facts.acks.by_command(),
        *(
            [(rows.at(row)["index"], rows.forms.values[rows.at(row)["form"]], rows.line(row), rows.moment(row)) for row in range(len(rows))]
            for rows in (facts.confirmations, facts.leases)
        ),
        [facts.applied.get(index) for index in range(400)],
        facts.applied_conflicts,
        facts.tree.conflicts,
        len(facts.tree),
        [facts.tree.term_at(last, term, last // 2) for last in range(1, 400) for term in range(1, 12)],
        [_evidence(history) for history in facts.durable.values()],
        (facts.configs, facts.digests, facts.lines, facts.torn_boots),
        (findings.kept, findings.counts),
    )  # fmt: skip


def _evidence(history: DurableHistory) -> object:
    moments = [outside(at) for at in range(0, 10**10, 10**9)]
    return history.boots, [
        history.before(index, term, moment)
        for index in range(1, 200, 7)
        for term in range(1, 8)
        for moment in (*moments, *(Moment(history.node, at, ANYTIME) for at in range(0, 800, 40)))
    ]


def bent(record: RunRecord, bends: Sequence[tuple[str, int, str, int]]) -> RunRecord:
    """The record with some numbers of its lines changed: the event, which of its lines, the field, by how much."""
    traces = {node: [deepcopy(dict(line)) for line in lines] for node, lines in record.traces.items()}
    for event, which, name, much in bends:
        lines = [line for some in traces.values() for line in some if line["event"] == event]
        line: dict[str, Any] = lines[which % len(lines)] if lines else {}
        entries = line.get("entries")
        if entries:
            entries[which % len(entries)][("index", "term", "crc").index(name)] += much
        elif type(line.get(name)) is int:
            line[name] = max(0, line[name] + much)
    return replace(record, traces=traces)


EVENTS = st.sampled_from(["append", "apply", "commit", "ack", "durable", "config", "truncate"])
BENDS = st.tuples(
    EVENTS, st.integers(0, 400), st.sampled_from(["index", "term", "crc"]), st.sampled_from([-3, -1, 1, 2])
)


@settings(max_examples=examples(60), deadline=None)
@given(
    st.integers(0, 10_000), st.booleans(), st.lists(BENDS, max_size=6), st.sampled_from([1, 2, 64]), st.sampled_from([7, 1 << 16])
)  # fmt: skip
def test_stretches_that_are_read_at_once_add_what_their_lines_add(
    seed: int, damaged: bool, bends: list[tuple[str, int, str, int]], short: int, window: int
) -> None:
    """However small the pieces are: most runs here are too small for the sizes that are used otherwise."""
    record = bent(traced.run(seed) if damaged else tiny_run(seed, 150, reconfigure=seed % 3 == 0), bends)
    if not record.traces:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(survey_module, "_SHORT", short)
        patch.setattr(survey_module, "_WINDOW", window)
        assert whole(tabled(record)) == whole(record)


BENT = [
    (event, field)
    for event, fields in {"append": ("index", "term", "crc"), "apply": ("index", "crc"), "commit": ("index",)}.items()
    for field in fields
]


@pytest.mark.parametrize("much", [-50, -2, 5, 50])
@pytest.mark.parametrize(("event", "field"), BENT)
def test_a_line_that_does_not_go_on_ends_a_stretch(event: str, field: str, much: int) -> None:
    """A few lines of a run, one after the other: what a stretch must not read over is rare in drawn runs."""
    run = tiny_run(3, 150, reconfigure=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(survey_module, "_SHORT", 1)
        for which in (0, 20, 40):
            record = bent(run, [(event, which, field, much)])
            assert whole(tabled(record)) == whole(record)


@pytest.mark.parametrize("much", [-5, 2, 50])
@pytest.mark.parametrize("event", ["append", "apply"])
def test_a_line_whose_entries_do_not_go_on_ends_a_stretch(event: str, much: int) -> None:
    run = tiny_run(3, 150, reconfigure=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(survey_module, "_SHORT", 1)
        for which in (2, 20, 40):
            traces = {node: [deepcopy(dict(line)) for line in lines] for node, lines in run.traces.items()}
            lines = [line for some in traces.values() for line in some if line["event"] == event]
            for entry in lines[which % len(lines)]["entries"]:
                entry[0] += much
            record = replace(run, traces=traces)
            assert whole(tabled(record)) == whole(record)

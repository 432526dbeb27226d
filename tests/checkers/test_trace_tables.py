"""Traces that were read as tables of lines give the answers of the same traces as objects."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tribulation.checkers import RunRecord, check
from tribulation.checkers.base.result import Gap
from tribulation.checkers.traces.traces import trace_gaps
from tribulation.histories.files.codec import decode_once, encode_fields
from tribulation.histories.lines.table import LineTable, TableBuilder

from .golden import traced


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

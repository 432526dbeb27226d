"""`tri check --explain`: each witness as a table: the operations that prove it, and their neighbours.

Neighbours are the nearest operations on the same object; omitted ones are counted. Only operations in the table are built as objects, so
that the witness of a history of millions is cheap.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from rich.table import Table

from tribulation.checkers import Anomaly
from tribulation.checkers.model_names import prepared
from tribulation.histories import History, HistoryError, Operation
from tribulation.histories.model.columns import Columns
from tribulation.histories.printable import in_a_line

from ...report import words
from ...run.outcome.verdict import Judgement
from ..console import marked, out

NEIGHBOURS = 2
MOST_ROWS = 40
MOST_WITNESSES = 10

Rows = npt.NDArray[np.int64]


def print_witnesses(judgement: Judgement) -> None:
    """Print the first `MOST_WITNESSES` anomalies of each checker, and the reason of each checker without one."""
    history = judgement.record.history
    try:
        history = prepared(history, judgement.model)
    except HistoryError:
        return
    for name, result in judgement.results.items():
        for number, anomaly in enumerate(result.anomalies[:MOST_WITNESSES], start=1):
            out.print(marked("\n[bold red]{}[/] {} ({} of {})", name, anomaly.kind, number, len(result.anomalies)))
            out.print(f"  {anomaly.explanation}")
            _print_operations(anomaly, history)
        if result.reason and not result.anomalies:
            out.print(marked("\n[yellow]{}[/] {}", name, in_a_line(result.reason)))


def _print_operations(anomaly: Anomaly, history: History) -> None:
    columns = history.columns
    proof = rows_of(columns, anomaly.ops)
    if not len(proof):
        return
    related = _related(columns, proof)
    shown = _with_neighbours(related, proof)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("", "index", "process", "operation", "outcome", "from", "took"):
        table.add_column(title, justify="right" if title in ("index", "from", "took") else "left")
    in_proof = set(proof.tolist())
    ranks = np.searchsorted(related, shown)
    previous = -1
    for row, rank in zip(shown.tolist(), ranks.tolist(), strict=True):
        if rank > previous + 1:
            table.add_row("", "", "", marked("[dim]… {} more[/]", rank - previous - 1), "", "", "")
        _add(table, history.operation(row), row in in_proof)
        previous = rank
    if previous + 1 < len(related):
        table.add_row("", "", "", marked("[dim]… {} more[/]", len(related) - previous - 1), "", "", "")
    out.print(table)


def _add(table: Table, op: Operation, in_proof: bool) -> None:
    end = "…" if op.complete_index is None else str(op.complete_index)
    # In formats without times, the time is the position in the history.
    no_clock = op.invoke_ns in (-1, op.invoke_index)
    took = "no answer" if op.complete_ns is None else words.duration(op.complete_ns - op.invoke_ns)
    table.add_row(
        marked("[red]▶[/]") if in_proof else "",
        f"{op.invoke_index}–{end}",
        str(op.process),
        words.operation(op),
        op.type.value + (f" {op.error}" if op.error else ""),
        "" if no_clock else words.milliseconds(op.invoke_ns),
        "" if no_clock else took,
        style=None if in_proof else "dim",
    )


def rows_of(columns: Columns, indices: Sequence[int]) -> Rows:
    """Return the rows of the operations that begin or end at these history indices, in ascending order."""
    wanted = np.array(sorted(set(indices)), np.int64)
    found = np.isin(columns.invoke, wanted) | np.isin(columns.complete, wanted)
    return np.flatnonzero(found)


def _related(columns: Columns, proof: Rows) -> Rows:
    """Return the rows of all operations on the objects in the proof."""
    same_key = np.isin(columns.key, columns.key[proof])
    return np.flatnonzero(same_key & np.isin(columns.workload, columns.workload[proof]))


def _with_neighbours(related: Rows, proof: Rows) -> Rows:
    shown = proof[:MOST_ROWS]
    ranks = np.searchsorted(related, shown)
    near = (ranks[:, None] + np.arange(-NEIGHBOURS, NEIGHBOURS + 1)).ravel()
    near = near[(near >= 0) & (near < len(related))]
    neighbours = np.setdiff1d(related[near], shown)[: max(0, MOST_ROWS - len(shown))]
    return np.union1d(shown, neighbours)

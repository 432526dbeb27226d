"""Pictures of a cluster and results of scenarios as tables for people."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .picture import Picture, Row
from .scenario import Result

STATES = {
    "ACTIVE": "green",
    "JOINING": "cyan",
    "SYNCING": "cyan",
    "DEGRADED": "yellow",
    "LEAVING": "yellow",
    "FAILED": "red",
}
BAR = 10
PORT = 10000
"""The usual value, which is not shown."""


def table_of(picture: Picture) -> RenderableType:
    """The nodes, with a line above and below: the node that reported it, and the state of the tasks."""
    if not picture.answered:
        return Text(f"{picture.asked} does not answer", style="red")
    if picture.plain:
        return Text(f"{picture.asked} answers, but is a plain node: its configuration has no `membership` section")
    table = Table(box=None, pad_edge=False)
    for heading in ("node", "address", "role", "state", "raft", "agents", "load", "rtt ms"):
        table.add_column(heading, no_wrap=True)
    table.add_column("types", overflow="fold")
    for row in picture.rows:
        state = Text(row.state, style=STATES.get(row.state, "white"))
        table.add_row(
            row.node,
            row.address.removesuffix(f":{PORT}"),
            row.role,
            state,
            row.raft,
            f"{row.used}/{row.slots}",
            load_bar(row),
            rtt(row),
            row.types,
        )
    return Group(Text(headline(picture)), table, Text(tasks_line(picture)))


def headline(picture: Picture) -> str:
    active = sum(1 for row in picture.rows if row.state == "ACTIVE")
    lead = (
        f"{picture.leader} leads term {picture.term}" if picture.leader else f"no leader known in term {picture.term}"
    )
    doubt = ", may be stale" if picture.stale else ""
    return f"{active} of {len(picture.rows)} nodes ACTIVE, {lead} (as {picture.asked} reports{doubt})"


def tasks_line(picture: Picture) -> str:
    if not picture.tasks:
        return "no tasks"
    return "tasks: " + ", ".join(f"{count} {state}" for state, count in sorted(picture.tasks.items()))


def load_bar(row: Row) -> str:
    full = 0 if row.slots == 0 else round(BAR * row.used / row.slots)
    return "█" * full + "·" * (BAR - full)


def rtt(row: Row) -> str:
    return "" if row.rtt_ms is None else f"{row.rtt_ms:.2f}"


def results_table(results: Iterable[Result]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("#", "category", "scenario", "promised", "measured", ""):
        table.add_column(heading, overflow="fold")
    for result in sorted(results, key=lambda result: result.scenario.number):
        scenario = result.scenario
        table.add_row(
            str(scenario.number),
            scenario.category,
            scenario.name,
            scenario.promised,
            result.measured,
            mark(result),
        )
    return table


def mark(result: Result) -> Text:
    return {True: Text("ok", "green"), False: Text("failed", "red"), None: Text("—", "yellow")}[result.passed]


def summary(results: Iterable[Result]) -> str:
    results = list(results)
    passed = sum(1 for result in results if result.passed)
    failed = sum(1 for result in results if result.passed is False)
    unmeasured = len(results) - passed - failed
    parts = [f"{passed} passed", f"{failed} failed"]
    parts += [f"{unmeasured} not measured"] if unmeasured else []
    return " · ".join(parts)

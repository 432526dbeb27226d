"""The table of all flaws: for a terminal, as JSON, and for docs/reference/flaws.md.

python -m tribulation.harness.search.zoo.table benchmarks/zoo.jsonl docs/reference/flaws.md      # write the recorded trials into the page
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from tribulation.node.flaws.switch import FLAWS

from ...errors import CampaignError
from .hunt import Shown, open_state

BEGIN, END = "<!-- zoo: begin -->", "<!-- zoo: end -->"
HEADINGS = (
    "flaw",
    "seeds",
    "caught",
    "first",
    "by its checker",
    "objections, the most frequent first",
    "correct node",
    "alarms",
)
MOST_OBJECTIONS = 3


@dataclass(frozen=True, slots=True)
class Row:
    """`caught`: trials with the flaw at which a checker objected, `as_expected` by the one that must; `alarms` of `correct` trials without it."""

    name: str
    tried: int
    caught: int
    first_seed: int | None
    as_expected: int
    by: tuple[str, ...]
    correct: int
    alarms: tuple[int, ...]

    @property
    def cells(self) -> list[str]:
        first = "" if self.first_seed is None else str(self.first_seed)
        counts = [str(self.tried), str(self.caught), first, str(self.as_expected)]
        return [self.name, *counts, ", ".join(self.by), str(self.correct), str(len(self.alarms))]


def rows(known: Iterable[Shown], names: Sequence[str]) -> list[Row]:
    """One row for each flaw."""
    known = list(known)
    return [_row(name, [shown for shown in known if shown.flaw == name]) for name in names]


def _row(name: str, known: Sequence[Shown]) -> Row:
    flawed = [shown for shown in known if shown.flawed]
    correct = [shown for shown in known if not shown.flawed]
    by = Counter(objection for shown in flawed for objection in shown.objections)
    return Row(
        name,
        len(flawed),
        sum(bool(shown.objections) for shown in flawed),
        min((shown.seed for shown in flawed if shown.objections), default=None),
        sum(shown.as_expected for shown in flawed),
        tuple(objection for objection, _ in by.most_common(MOST_OBJECTIONS)),
        len(correct),
        tuple(shown.seed for shown in correct if shown.objections),
    )


def document(found: Sequence[Row]) -> dict[str, Any]:
    """The rows for `--json`."""
    return {
        "flaws": [{**asdict(row), "expected_checker": FLAWS[row.name].checker} for row in found],
        "found": sum(row.caught > 0 for row in found),
        "false_alarms": sum(len(row.alarms) for row in found),
        "correct_seeds": sum(row.correct for row in found),
    }


def table(found: Sequence[Row]) -> Table:
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for heading in HEADINGS:
        shown.add_column(heading, min_width=max(len(row.name) for row in found) if heading == "flaw" else None)
    for row in found:
        shown.add_row(*row.cells)
    return shown


def markdown(found: Sequence[Row]) -> str:
    figures = document(found)
    return "\n".join(
        [
            f"{figures['found']} of {len(found)} flaws were caught, {sum(row.as_expected > 0 for row in found)} of them by the checker that must. "
            f"The correct node ran in the same plans, {figures['correct_seeds']} trials with {figures['false_alarms']} false alarms.",
            "",
            f"| {' | '.join(HEADINGS)} |",
            "|" + "---|" * len(HEADINGS),
            *(f"| {' | '.join(row.cells)} |" for row in found),
        ]
    )


def write_between(path: Path, text: str) -> None:
    """Replace what is between the markers of a file. Raises `CampaignError` without them."""
    before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise CampaignError(
            f"{path}: no place for the table was found", hint=f"put {BEGIN} and {END} on lines of their own"
        )
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    write_between(Path(sys.argv[2]), markdown(rows(open_state(Path(sys.argv[1])).shown, list(FLAWS))))

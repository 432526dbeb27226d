"""`tri search --all-flaws`: hunts every flaw in the simulator, runs the correct node in the same plans, and prints the table of results.

tri search --all-flaws --state zoo.jsonl                     # all of them; the same command goes on where it was stopped
tri search --all-flaws --flaw ack-before-fsync --json
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tribulation.node.flaws.switch import FLAWS

from ...errors import CampaignError
from .hunt import SEEDS, hunt, open_state
from .table import document, rows, table

REPORT_EVERY_S = 5.0


def zoo_command(
    flaws: Sequence[str],
    seeds: int | None = None,
    jobs: int = 1,
    as_json: bool = False,
    state: Path | None = None,
    until_found: bool = False,
    console: Console | None = None,
) -> int:
    """0 if every flaw was caught and the correct node raised no alarm, 1 otherwise; progress goes to stderr. Raises `CampaignError`."""
    unknown = [name for name in flaws if name not in FLAWS]
    if unknown:
        raise CampaignError(f"--flaw {unknown[0]}: unknown flaw", hint=f"the flaws are {', '.join(FLAWS)}")
    names = [name for name in FLAWS if not flaws or name in flaws]
    kept = open_state(state)
    hunt(kept, names, seeds or SEEDS, jobs, until_found, _Talk(console))
    found = rows(kept.shown, names)
    out = Console(highlight=False, soft_wrap=True)
    out.print_json(json.dumps(document(found))) if as_json else out.print(table(found))
    return 0 if all(row.caught and not row.alarms for row in found) else 1


class _Talk:
    """Report of the progress, on stderr every few seconds."""

    def __init__(self, console: Console | None) -> None:
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._last_s = -REPORT_EVERY_S
        """So that the first line comes at once."""

    def __call__(self, text: str) -> None:
        if time.monotonic() - self._last_s >= REPORT_EVERY_S:
            self._last_s = time.monotonic()
            self._console.print(text, markup=False)

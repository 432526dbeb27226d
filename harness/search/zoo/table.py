"""The tables of all flaws: for a terminal, and for docs/reference/flaws.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from ...errors import CampaignError
from ...simulator.soak.aims import UNREACHABLE
from ...simulator.soak.sorts import SORTS
from .hunt import Caught
from .state import Ablated, State

BEGIN, END = "<!-- zoo: begin -->", "<!-- zoo: end -->"

KEPT_ALL_THE_SAME: Mapping[str, str] = {
    "cut": "the fault that distributed systems are about, and how a deposed leader comes to be read from",
    "clog": "connections that stall without breaking are common, and no other sort delays one direction in order",
    "reject": "refused connections look like a dead process to peers while clients still reach the node",
    "kill": "the commonest fault there is",
    "power": "the only sort that loses what was not synced",
    "pause": "the only sort that makes a process miss time: collectors, swapping, migrated machines",
    "clock": "the only sort that shows that something trusts the wall clock",
    "fsync": "a disk that fails must stop its node",
    "stall": "slow disks stretch the time between a write and its fsync, for all that goes wrong between them",
    "rot": "damage at rest is found by checksums alone",
    "wipe": "replaced disks are everyday operations",
    "transfer": "hand-overs are how leases and votes meet",
    "voters": "the only sort that changes quorums",
    "loss": "messages lost beyond TCP are what reconnects do to a protocol",
    "duplicate": "messages twice are what retries do to a protocol",
    "reorder": "late messages are what reconnects do to a protocol",
    "drift": "the only sort that distinguishes a lease from a safe one",
}
"""Why a sort of fault stays although no flaw of the zoo needs it."""


def table(state: State, names: Sequence[str]) -> Table:
    """One row a flaw."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("flaw", "found", "tried", "per 1000", "first seed", "aim", "by", "plan", "faults"):
        shown.add_column(heading, min_width=len(max(names, key=len)) if heading == "flaw" else None)
    for name in names:
        shown.add_row(*_cells(state.caught[name]))
    return shown


def markdown(state: State, names: Sequence[str], result: Mapping[str, Any]) -> str:
    """Both tables and the sentences between them."""
    flaws = result["flaws"]
    early = [flaw for flaw in flaws if flaw["found"] and flaw["aim"] is None]
    by_expected = [flaw for flaw in flaws if flaw["found"] and flaw["as_expected"]]
    return "\n".join(
        [
            f"{result['found']} of {len(flaws)} flaws were found: {len(early)} without an aim, within {_worst(early)} seeds, "
            f"{result['found'] - len(early)} with their aim; {len(by_expected)} by the checker that should. "
            f"The correct node stood {result['correct_seeds']} trials in the same plans with {result['false_alarms']} false alarms.",
            "",
            "| flaw | found | seeds tried | per 1000 | first seed | aim | by | smallest plan | faults in it |",
            "|---|---|---|---|---|---|---|---|---|",
            *(f"| {' | '.join(_cells(state.caught[name]))} |" for name in names),
            *_reasons(state, names),
            *_ablation(state, names),
        ]
    )


def _worst(flaws: Sequence[Mapping[str, Any]]) -> int:
    """The number of seeds until the rarest of them was caught."""
    return 1 + max((int(flaw["first_seed"]) for flaw in flaws), default=-1)


def write_between(path: Path, text: str) -> None:
    replace_between(path, text, BEGIN, END)


def replace_between(path: Path, text: str, first: str, last: str) -> None:
    """Replace what is between two markers of a file. Raises `CampaignError` without them."""
    before, begin, rest = path.read_text(encoding="utf-8").partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise CampaignError(f"{path}: no place for the table", hint=f"put {first} and {last} on lines of their own")
    path.write_text(f"{before}{first}\n{text}\n{last}{after}", encoding="utf-8")


def _cells(caught: Caught) -> list[str]:
    tally = caught.tally
    return [
        caught.name,
        "yes" if caught.found else "no",
        _tried(caught),
        "" if tally.per_1000 is None else f"{tally.per_1000:g}",
        str(tally.hits[0]) if tally.hits else "",
        caught.aimed.aim or "" if caught.aimed is not None else "",
        _objectors(caught),
        str(len(caught.smallest)) if caught.found else "",
        ", ".join(caught.needs) if caught.needs else "none" if caught.found else "",
    ]


def _tried(caught: Caught) -> str:
    aimed = "" if caught.aimed is None else f"{caught.aimed.tried} aimed"
    return aimed if aimed and not caught.random.tried else f"{caught.random.tried}{', ' * bool(aimed)}{aimed}"


def _objectors(caught: Caught) -> str:
    by = ", ".join(caught.checkers)
    if not caught.found or caught.expected in caught.checkers:
        return by
    return f"{by}, then {caught.expected}" if caught.gone_on is not None else f"{by} (expected: {caught.expected})"


def _reasons(state: State, names: Sequence[str]) -> list[str]:
    known = [f"{name} ({UNREACHABLE[name]})" for name in names if name in UNREACHABLE]
    left = [name for name in names if name not in UNREACHABLE and not state.caught[name].random.tried]
    return [
        *(["", f"Out of reach without an aim: {'; '.join(known)}."] if known else []),
        *(["", f"Not tried without an aim in this run: {', '.join(left)}."] if left else []),
    ]


def _ablation(state: State, names: Sequence[str]) -> list[str]:
    rows = [ablated for name in names for ablated in state.ablated if ablated.name == name]
    if not rows:
        return []
    shown = [row for row in rows if row.needed]
    needed = {sort for row in shown for sort in row.sort.split("+")}
    faultless = [name for name in names if state.caught[name].found and not state.caught[name].needs]
    others = [f"{sort} ({KEPT_ALL_THE_SAME[sort]})" for sort in SORTS if sort not in needed]
    unshown = [_unshown(name, rows) for name in names if name not in {row.name for row in shown} | set(faultless)]
    return [
        "",
        "Faults earn their place: hits of a flaw over the same seeds with a sort of fault in the plans and without it, and where no sort is needed by "
        "itself, without all that stand for each other. It is *needed* if hits are at least five times rarer without it, five to none at least, and the "
        "smallest plan passes without it; the count ends when it cannot be any more.",
        "",
        "| flaw | sort it needs | seeds | hits with | hits without |",
        "|---|---|---|---|---|",
        *(f"| {row.name} | {row.sort} | {row.seeds} | {row.hits_with} | {row.hits_without} |" for row in shown),
        "",
        f"Shown without any fault: {', '.join(faultless) or 'none'}.",
        "",
        f"No need was shown, because other faults do as well or hits were too few (hits with → without): {'; '.join(unshown) or 'none'}.",
        "",
        f"Sorts that no flaw was shown to need, and that stay: {'; '.join(others) or 'none'}.",
    ]


def _unshown(name: str, rows: Sequence[Ablated]) -> str:
    tried = [f"{row.sort} {row.hits_with} → {row.hits_without}" for row in rows if row.name == name]
    return f"{name} ({', '.join(tried) or 'not tried'})"

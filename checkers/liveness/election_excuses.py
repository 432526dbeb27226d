"""Excuses of a group of nodes that elects no leader for a while, as far as their traces show.

A node may have stopped itself. It may have lost the tail of its log in a power loss and not vote before a leader has made it whole. Or the
configuration may be one under which the group is too light. Then silence is the system keeping its promises, and not a failure to recover.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from ..traces.columns import of
from ..traces.traces import FOREVER_NS, Incarnation, Traces

Cut = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Stretch:
    """`nodes`, called `name`, must be able to elect in `from_ns` .. `to_ns` (run time), with the `cut` between them that stays."""

    name: str
    nodes: Sequence[str]
    from_ns: int
    to_ns: int
    cut: Cut = frozenset()


def stopped_itself(traces: Traces, stretch: Stretch) -> dict[str, str]:
    """Return nodes of the group that had halted, each with its reason."""
    found = {}
    for node in stretch.nodes:
        for life in _lives(traces, node, stretch):
            if life.lines[-1]["event"] == "halt":
                found[node] = str(life.lines[-1].get("reason"))
    return found


def excuse(traces: Traces, stretch: Stretch) -> str | None:
    """Return a reason, if under some active configuration the group could legitimately fail to elect a leader."""
    halted = stopped_itself(traces, stretch)
    torn = [node for node in stretch.nodes if any(_is_torn(life) for life in _lives(traces, node, stretch))]
    able = [node for node in stretch.nodes if node not in halted and node not in torn]
    for node in stretch.nodes:
        for voters in _configurations(traces, node, stretch):
            stuck = _without_quorum(voters, stretch, stretch.nodes)
            if stuck is not None:
                return f"{node} had the voters {dict(voters)}, of which {stuck} reaches a quorum"
            stuck = _without_quorum(voters, stretch, able)
            if stuck is not None:
                return f"{_described(halted, torn)}, and without them {stuck} reaches a quorum of {dict(voters)}"
    return None


def _without_quorum(voters: Mapping[str, int], stretch: Stretch, able: Sequence[str]) -> str | None:
    """Return the nodes that reach no quorum. With links that stay cut, every voter must reach one: the only one that does may be the one whose log is
    too short.
    """
    hubs = [node for node in able if voters.get(node, 0)]
    stuck = [hub for hub in hubs if not _reaches_quorum(hub, voters, stretch.cut, able)]
    if len(stuck) == len(hubs):
        return f"no node of {stretch.name}"
    return f"not every one ({stuck[0]} does not)" if stuck else None


def _reaches_quorum(hub: str, voters: Mapping[str, int], cut: Cut, able: Sequence[str]) -> bool:
    seen = [node for node in able if (hub, node) not in cut and (node, hub) not in cut]
    return 2 * sum(voters.get(node, 0) for node in seen) > sum(voters.values())


def _described(halted: Mapping[str, str], torn: Sequence[str]) -> str:
    parts = [f"{node} had stopped itself ({reason})" for node, reason in halted.items()]
    if torn:
        parts.append(f"{', '.join(torn)} had lost the tail of the log when last started")
    return " and ".join(parts)


def _is_torn(life: Incarnation) -> bool:
    return life.start is not None and bool(life.start.get("torn"))


def _lives(traces: Traces, node: str, stretch: Stretch) -> list[Incarnation]:
    """Return its incarnations that may have existed in the interval; one that was killed counts until the next began."""
    found = []
    lives = traces.incarnations.get(node, ())
    for life, after in zip_longest(lives, lives[1:]):
        until_ns = FOREVER_NS if after is None else traces.place(after.lines[0]).high_ns
        if traces.place(life.lines[0]).low_ns <= stretch.to_ns and until_ns >= stretch.from_ns:
            found.append(life)
    return found


def _configurations(traces: Traces, node: str, stretch: Stretch) -> list[Mapping[str, int]]:
    """Return the voters that the node counted by at some time in the interval, as far as its lines can be placed."""
    found: list[Mapping[str, int]] = []
    for life in _lives(traces, node, stretch):
        lines = list(of(life.lines, ("start", "config")))
        for line, after in zip_longest(lines, lines[1:]):
            over = after is not None and traces.place(after).high_ns < stretch.from_ns
            if not over and traces.place(line).low_ns <= stretch.to_ns:
                found.append(line["voters"])
    return found

"""Random forms of faults, as their kinds define them (`FaultKind.sorts`): the one table of the searches' swarm and of a campaign's `all:` and `swarm:`.

A *sort* is finer than a kind: `link` is a kind; lost packets and late packets are two sorts. A sort holds what a campaign's item would, except for
times, which the composer sets. The host abilities it needs follow from the item, as for every other.

    item = SORTS["slow-disk"].item(Knobs(7, "example"))          # {"disk": {"target": "leader", "effect": "slow", "delay": "2ms"}}

`lane`: of the faults of one lane, one at a time is on in a mix. All that may take a node down or harm its data are in one lane, and each aims at a
minority at most, so that together they never harm more than that. Faults of links have one lane, because no probe can measure the loss of a cut link.
"""

from __future__ import annotations

from dataclasses import replace

from ..catalog import catalog
from ..catalog.kind import Item, Sort
from ..catalog.random_forms import LINKS, NODES, TARGETS

__all__ = ["LINKS", "NODES", "SEARCHED", "SORTS", "Item", "Sort", "names_of"]

_DRAWN_BY_MIXES = (
    *("partition", "one-way", "link", "clog", "flap", "reset", "kill", "pause", "power-loss"),
    *("slow-disk", "stalled-disk", "failing-disk", "decay", "bump", "back", "drift", "strobe", "wall-drift"),
    *("loss", "duplicate", "reorder", "delay", "jitter", "corrupt", "rate", "slow-start", "freeze"),
    *("cpu-limit", "memory-limit", "fd-limit", "full-disk", "read-only", "io-error", "fsync-error"),
    *("lost-writes", "torn-write", "bit-rot", "truncate", "misdirected-write", "removed", "replaced", "transfer"),
)
"""In the order in which seeds draw them. Other sorts are drawn only where a campaign names them: no mix draws what it did not draw before they existed."""

_BY_NAME = {name: sort for kind in catalog.kinds() for name, sort in kind.sorts.items()}

SORTS: dict[str, Sort] = {
    **{name: _BY_NAME[name] for name in _DRAWN_BY_MIXES},
    **{n: replace(sort, coarse=True, plain=True) for n, sort in _BY_NAME.items() if n not in _DRAWN_BY_MIXES},
}
"""By name."""

_BLINKS, _DARK = ("3ms", "10ms", "20ms"), ("30ms", "100ms", "400ms")

SEARCHED: dict[str, Sort] = {
    "blink": Sort(
        "kill",
        NODES,
        lambda knobs: {"target": knobs.choose("target", TARGETS), "for": knobs.choose("for", _BLINKS)},
        own_time=True,
    ),
    "dark": Sort(
        "power-loss",
        NODES,
        lambda knobs: {"target": knobs.choose("target", TARGETS), "for": knobs.choose("for", _DARK)},
        own_time=True,
    ),
    "lost-by-most": Sort(
        "disk",
        NODES,
        lambda knobs: {"target": knobs.choose("target", ("majority", "all")), "effect": "lost-writes"},
    ),
    "lone-leader": Sort(
        "partition",
        LINKS,
        lambda knobs: {"shape": knobs.choose("shape", ("leader-minority", "isolate-one"))},
        share=2,
    ),
}
"""Sorts that only the swarm of searches draws: they would harm a majority on hosts, or need timing that hosts do not have (restarts within milliseconds)."""


def stream_of(name: str) -> str:
    """Return the key of a sort's random numbers: its first name, so that a seed draws what it drew before a sort was renamed."""
    return (SORTS[name].stream if name in SORTS else "") or name


def names_of(word: str) -> list[str]:
    """Return the sorts that a word of a campaign means: all of a kind, as an item of `faults:` names it, except coarse ones; else one by its name."""
    kind = [name for name, sort in SORTS.items() if sort.fault == word and not sort.coarse]
    return kind or ([word] if word in SORTS else [])

"""Random forms of each sort of fault: the one table that the simulator's swarm and a campaign's `all:` and `swarm:` (`mix`) choose from.

A *sort* is finer than a kind: `link` is a kind; lost packets and late packets are two sorts. A sort holds what a campaign's item would, except for
times, which the composer sets. The host abilities it needs follow from the item, as for every other.

    item = SORTS["slow-disk"].item(Knobs(7, "example"))          # {"disk": {"target": "leader", "effect": "slow", "delay": "2ms"}}

`lane`: of the faults of one lane, one at a time is on in a mix. All that may take a node down or harm its data are in one lane, and each aims at a
minority at most, so that together they never harm more than that. Links have another lane, because no probe can count what a cut link loses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..catalog import catalog
from ..catalog.kind import Fields, Item, Sort
from ..catalog.knobs import Knobs

__all__ = ["LINKS", "SEARCHED", "SORTS", "Item", "Sort", "names_of"]

NODES, LINKS, CLOCKS, LEADERS = "nodes", "links", "clocks", "leaders"


TARGETS = ("leader", "follower", "one", "minority")
_SPLITS = ("halves", "random-halves", "isolate-one", "majorities-ring", "bridge", "minority-third", "leader-minority")
_PERIODS = ("100ms", "700ms", "2s")


def _partition(knobs: Knobs) -> Fields:
    shapes = [shape for shape in (*_SPLITS, "leader-majority", "one-way", "clients-cut") if knobs.on(shape)]
    return {"shape": shapes or ["halves"]}


def _one_way(knobs: Knobs) -> Fields:
    target, direction = knobs.choose("target", TARGETS), knobs.choose("direction", ("in", "out"))
    return {"shape": "one-way", "target": target, "direction": direction}


def _link(knobs: Knobs) -> Fields:
    chances = {
        word: f"{knobs.choose(word, (1, 5, 20))}%" for word in ("loss", "duplicate", "reorder") if knobs.on(word)
    }
    times = {word: f"{knobs.choose(word, (1, 5, 50))}ms" for word in ("delay", "jitter") if knobs.on(word)}
    shape = knobs.choose("shape", (*_SPLITS, "one-way", "every-link"))
    return {"shape": shape, **(chances or {"loss": "5%"}), **times}


def _on_links(fault: str, coarse: bool = False, plain: bool = False, share: int = 4, **more: Sequence[Any]) -> Sort:
    def fields(knobs: Knobs) -> Fields:
        shape = knobs.choose("shape", (*_SPLITS, "one-way", "every-link"))
        return {"shape": shape, **{word: knobs.choose(word, options) for word, options in more.items()}}

    return Sort(fault, LINKS, fields, share, coarse, plain)


def _on_nodes(
    fault: str, share: int = 3, lane: str = NODES, coarse: bool = False, plain: bool = False, **more: Sequence[Any]
) -> Sort:
    return _aimed(fault, more, share, lane, coarse, plain)


def _aimed(
    fault: str,
    more: Mapping[str, Sequence[Any]],
    share: int = 3,
    lane: str = NODES,
    coarse: bool = False,
    plain: bool = False,
) -> Sort:
    def fields(knobs: Knobs) -> Fields:
        drawn = {word: knobs.choose(word, options) for word, options in more.items()}
        return {"target": knobs.choose("target", TARGETS), **drawn}

    return Sort(fault, lane, fields, share, coarse, plain)


def _disk(*effects: str, coarse: bool = False, plain: bool = False, **more: Sequence[Any]) -> Sort:
    return _aimed("disk", {"effect": effects, **more}, coarse=coarse, plain=plain)


def _clock(**amount: Sequence[Any]) -> Sort:
    return _aimed("clock", amount, lane=CLOCKS)


def _bump(knobs: Knobs) -> Fields:
    bump = knobs.choose("jump", ("50ms", "1s", "60s", "1h"))
    return {"target": knobs.choose("target", TARGETS), "bump": bump}


SORTS: dict[str, Sort] = {
    "partition": Sort("partition", LINKS, _partition),
    "one-way": Sort("partition", LINKS, _one_way),
    "link": Sort("link", LINKS, _link, coarse=True),
    "clog": _on_links("clog"),
    "flap": _on_links("flap", period=_PERIODS),
    "reset": _on_links("reset", period=_PERIODS),
    "kill": _on_nodes("kill"),
    "pause": _on_nodes("pause"),
    "power-loss": _on_nodes("power-loss", share=4),
    "slow-disk": _disk("slow", delay=("2ms", "20ms", "150ms")),
    "stalled-disk": _disk("stall"),
    "failing-disk": _disk("full", "fsync-error", coarse=True),
    "decay": _disk("bit-rot", "misdirected-write", coarse=True),
    "bump": Sort("clock", CLOCKS, _bump),
    "back": _clock(offset=("-50ms", "-1s", "-60s")),
    "drift": _clock(drift_ppm=(-4_000, -200, 200, 4_000)),
    "strobe": _clock(strobe=("20ms", "-1s", "60s"), period=("50ms", "300ms")),
    "wall-drift": _on_nodes("clock", lane=CLOCKS, drift_ppm=(-4_000, -200, 200, 4_000), monotonic=(False,)),
    "loss": _on_links("link", plain=True, loss=("5%", "10%", "30%")),
    "duplicate": _on_links("link", plain=True, duplicate=("5%", "20%", "50%")),
    "reorder": _on_links("link", plain=True, reorder=("5%", "20%", "50%"), delay=("5ms", "20ms")),
    "delay": _on_links("link", plain=True, delay=("5ms", "50ms", "200ms")),
    "jitter": _on_links("link", plain=True, delay=("5ms",), jitter=("5ms", "50ms")),
    "corrupt": _on_links("link", corrupt=("5%", "20%")),
    "rate": _on_links("link", plain=True, rate=("1mbit", "10mbit")),
    "slow-start": _on_nodes("kill", slow_start=("1s", "3s")),
    "freeze": _on_nodes("pause", whole=("host",)),
    "cpu-limit": _aimed("cpu-limit", {"share": ("5%", "10%", "30%")}),
    "memory-limit": _on_nodes("memory-limit", plain=True, limit=("24MiB", "32MiB")),
    "fd-limit": _on_nodes("fd-limit", plain=True, limit=(8, 16)),
    "full-disk": _disk("full", plain=True),
    "read-only": _disk("read-only", plain=True),
    "io-error": _disk("io-error"),
    "fsync-error": _disk("fsync-error", plain=True),
    "lost-writes": _disk("lost-writes"),
    "torn-write": _disk("torn-write"),
    "bit-rot": _disk("bit-rot", plain=True),
    "truncate": _disk("truncate", plain=True),
    "misdirected-write": _disk("misdirected-write", plain=True),
    "removed": _on_nodes("membership", action=("remove",)),
    "replaced": _on_nodes("membership", action=("replace",)),
    "transfer": Sort("transfer", LEADERS, lambda knobs: {"to": knobs.choose("to", ("any", "any", "former"))}, share=4),
    **{name: replace(sort, coarse=True, plain=True) for kind in catalog.kinds() for name, sort in kind.sorts.items()},
}
"""By name. Those of the catalogue's kinds are drawn only where a campaign names them: no mix draws what it did not draw before they existed."""

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
"""Sorts that the searches' swarm draws in addition: those that no mix on hosts should have (a majority harmed) or can time (restarts within milliseconds)."""


_STREAMS = {
    "power-loss": "power",
    "bump": "jump",
    "cpu-limit": "cpu",
    "memory-limit": "memory",
    "fd-limit": "descriptors",
}


def stream_of(name: str) -> str:
    """What keys a sort's random numbers: its first name, so that a seed draws what it drew before a sort was renamed."""
    return _STREAMS.get(name, name)


def names_of(word: str) -> list[str]:
    """Return the sorts that a word of a campaign means: all of a kind, as an item of `faults:` names it, except coarse ones; else one by its name."""
    kind = [name for name, sort in SORTS.items() if sort.fault == word and not sort.coarse]
    return kind or ([word] if word in SORTS else [])

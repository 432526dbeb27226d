"""Swarm testing: from a seed to a world with some kinds of trouble and without others (Groce et al. 2012).

A fault that is always there hides what needs its absence, and one rate for all runs finds what lives at that rate. So each seed switches each kind
on or off and draws its rates anew. Every knob has a draw of its own: one that is added changes no other.

    options = swarm(7, SimOptions())
    items = swarm_faults(7, ["n1", "n2", "n3"], 30 * SECOND)      # items of a campaign's `faults:`
    more = swarm_node(7)                                          # fields of a campaign's `system`
    last = swarm_liveness(7)                                      # a campaign's `liveness`, or None
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..durations import format_ns, parse_ns
from ..nemesis.liveness import WAYS
from .chance import between, choose, draw, happens, key_of
from .options import MICROSECOND, MILLISECOND, SimOptions

Item = dict[str, dict[str, Any]]


class Knobs:
    """Draws by name, so that each knob is drawn apart from all others."""

    def __init__(self, seed: int, purpose: str) -> None:
        self._key = draw(seed, key_of(purpose))

    def bits(self, name: str) -> int:
        return draw(self._key, key_of(name))

    def on(self, name: str, ppm: int = 500_000) -> bool:
        return happens(self.bits(f"{name}/on"), ppm)

    def choose(self, name: str, options: Sequence[Any]) -> Any:
        return choose(self.bits(name), options)

    def between(self, name: str, low: int, high: int) -> int:
        return between(self.bits(name), low, high)


def swarm(seed: int, base: SimOptions) -> SimOptions:
    """`base` with everything about the world drawn anew; how it is checked and recorded stays."""
    knobs = Knobs(seed, "swarm/world")

    def rate(name: str, *ppm: int) -> int:
        return int(knobs.choose(name, ppm)) if knobs.on(name) else 0

    return replace(
        base,
        latency_min_ns=knobs.choose("latency-min", (20, 100, 200, 500, 2_000, 10_000)) * MICROSECOND,
        latency_mean_ns=knobs.choose("latency-mean", (10, 100, 300, 1_000, 5_000, 20_000)) * MICROSECOND,
        loss_ppm=rate("loss", 1_000, 10_000, 50_000, 150_000),
        duplicate_ppm=rate("duplicate", 1_000, 20_000, 100_000, 300_000),
        reorder_ppm=rate("reorder", 1_000, 20_000, 100_000),
        reorder_ns=knobs.choose("reorder-by", (2, 20, 100, 700)) * MILLISECOND,
        datagram_loss_ppm=rate("datagram-loss", 10_000, 100_000, 300_000),
        datagram_duplicate_ppm=rate("datagram-duplicate", 10_000, 100_000),
        datagram_reorder_ppm=rate("datagram-reorder", 10_000, 200_000),
        stall_timeout_ns=knobs.choose("stall-timeout", (500, 2_000, 5_000)) * MILLISECOND,
        retransmit_max_ns=knobs.choose("retransmit", (10, 400, 2_000)) * MILLISECOND,
        redial_mean_ns=knobs.choose("redial", (20, 100, 400)) * MILLISECOND,
        write_ns=knobs.choose("write", (2, 10, 200)) * MICROSECOND,
        fsync_min_ns=knobs.choose("fsync-min", (20, 100, 2_000)) * MICROSECOND,
        fsync_mean_ns=knobs.choose("fsync-mean", (50, 500, 3_000, 20_000)) * MICROSECOND,
        turn_ns=knobs.choose("turn", (1, 20, 200, 2_000)) * MICROSECOND,
        stale_timer_ppm=rate("stale-timer", 10_000, 50_000, 500_000),
        drift_max_ppm=rate("drift", 20, 200, 4_000),
    )


def swarm_node(seed: int) -> dict[str, Any]:
    """Fields of a campaign's `system`, the same for every node."""
    knobs = Knobs(seed, "swarm/node")
    heartbeat_ms = knobs.choose("heartbeat", (30, 50, 100))
    election_ms = heartbeat_ms * knobs.choose("patience", (4, 6, 10))
    spread_ms = election_ms * knobs.choose("spread", (2, 4, 10)) // 10
    return {
        "timing": {
            "heartbeat": f"{heartbeat_ms}ms",
            "election_min": f"{election_ms}ms",
            "election_max": f"{election_ms + spread_ms}ms",
        },
        "snapshot_threshold": knobs.choose("snapshot-threshold", (10, 30, 100, 1_000, 10_000)),
        "max_batch": knobs.choose("max-batch", (1, 2, 8, 64, 1_024)),
        "lease_reads": knobs.on("lease-reads", 250_000),
    }


def swarm_faults(seed: int, nodes: Sequence[str], load_ns: int) -> list[Item]:
    """Items as in a campaign's YAML, at most one of each sort, that can be scheduled within `load_ns`. At least one is on.

    No item is calibration: a correct node must stay valid under all of them. Blackouts are left out, for after one the reference
    cluster may rightly stay unavailable.
    """
    knobs = Knobs(seed, "swarm/faults")
    chosen = [sort for sort in SORTS if knobs.on(sort)]
    chosen = chosen or [knobs.choose("the-only-one", list(SORTS))]
    items = [SORTS[sort](Knobs(seed, f"swarm/faults/{sort}"), load_ns) for sort in chosen]
    if knobs.on("voters", 250_000) and len(nodes) > 3:
        items += _voters(knobs, nodes, load_ns)
    return items


def _times(knobs: Knobs, load_ns: int, share: int = 3) -> dict[str, Any]:
    """Few and long, or many and short: one to eight starts, each on for at most one in `share` of its period.

    `overlap`: it may be on together with a fault of its kind from another sort.
    """
    every_ns = load_ns // (1 + knobs.between("starts", 1, 8))
    for_ns = every_ns // knobs.choose("share", (share, 2 * share, 8 * share))
    stagger_ns = knobs.between("stagger", 0, (every_ns - for_ns) // 3)
    times = {"every": every_ns, "for": for_ns, "stagger": stagger_ns}
    return {**{word: format_ns(max(1, ns // MILLISECOND) * MILLISECOND) for word, ns in times.items()}, "overlap": True}


_TARGETS = ("leader", "follower", "one", "minority")
_SPLITS = ("halves", "random-halves", "isolate-one", "majorities-ring", "bridge", "minority-third", "leader-minority")


def _partition(knobs: Knobs, load_ns: int) -> Item:
    shapes = [shape for shape in (*_SPLITS, "leader-majority", "one-way", "clients-cut") if knobs.on(shape)]
    return {"partition": {"shape": shapes or ["halves"], **_times(knobs, load_ns)}}


def _one_way(knobs: Knobs, load_ns: int) -> Item:
    target, direction = knobs.choose("target", _TARGETS), knobs.choose("direction", ("in", "out"))
    return {"partition": {"shape": "one-way", "target": target, "direction": direction, **_times(knobs, load_ns)}}


def _link(knobs: Knobs, load_ns: int) -> Item:
    chances = {
        word: f"{knobs.choose(word, (1, 5, 20))}%" for word in ("loss", "duplicate", "reorder") if knobs.on(word)
    }
    times = {word: f"{knobs.choose(word, (1, 5, 50))}ms" for word in ("delay", "jitter") if knobs.on(word)}
    shape = knobs.choose("shape", (*_SPLITS, "one-way", "every-link"))
    return {"link": {"shape": shape, **(chances or {"loss": "5%"}), **times, **_times(knobs, load_ns)}}


def _on_links(kind: str, **more: Sequence[str]) -> Callable[[Knobs, int], Item]:
    def item(knobs: Knobs, load_ns: int) -> Item:
        shape = knobs.choose("shape", (*_SPLITS, "one-way", "every-link"))
        times = _times(knobs, load_ns, share=4)
        drawn = {word: knobs.choose(word, options) for word, options in more.items()}
        if "period" in drawn and 2 * parse_ns(drawn["period"]) > parse_ns(times["every"]):
            # It is seen to come and go over one and a half periods, before the next start.
            drawn["period"] = "50ms"
        return {kind: {"shape": shape, **drawn, **times}}

    return item


def _on_nodes(kind: str, share: int = 3, **more: Sequence[Any]) -> Callable[[Knobs, int], Item]:
    def item(knobs: Knobs, load_ns: int) -> Item:
        drawn = {word: knobs.choose(word, options) for word, options in more.items()}
        return {kind: {"target": knobs.choose("target", _TARGETS), **drawn, **_times(knobs, load_ns, share)}}

    return item


SORTS: dict[str, Callable[[Knobs, int], Item]] = {
    "partition": _partition,
    "one-way": _one_way,
    "link": _link,
    "clog": _on_links("clog"),
    "flap": _on_links("flap", period=("100ms", "700ms", "2s")),
    "reset": _on_links("reset", period=("100ms", "700ms", "2s")),
    "kill": _on_nodes("kill"),
    "pause": _on_nodes("pause"),
    "power": _on_nodes("power", share=4),
    "slow-disk": _on_nodes("disk", effect=("slow",), delay=("2ms", "20ms", "150ms")),
    "stalled-disk": _on_nodes("disk", effect=("stall",)),
    "failing-disk": _on_nodes("disk", effect=("full", "fsync-error")),
    "decay": _on_nodes("disk", effect=("bit-rot", "misdirected-write")),
    "jump": _on_nodes("clock", jump=("50ms", "1s", "60s", "1h")),
    "back": _on_nodes("clock", offset=("-50ms", "-1s", "-60s")),
    "drift": _on_nodes("clock", drift_ppm=(-4_000, -200, 200, 4_000)),
    "strobe": _on_nodes("clock", strobe=("20ms", "-1s", "60s"), period=("50ms", "300ms")),
}
"""Each sort of fault: its item from its own knobs. Several sorts may be of one kind."""


def _voters(knobs: Knobs, nodes: Sequence[str], load_ns: int) -> list[Item]:
    """The last node leaves the voters and comes back."""
    out_ns, back_ns = (load_ns * percent // 100 // MILLISECOND * MILLISECOND for percent in (20, 60))
    leave = {"set": {nodes[-1]: 0}, "after": format_ns(out_ns)}
    return [{"voters": leave}, {"voters": {"set": {nodes[-1]: 1}, "after": format_ns(back_ns)}}]


def swarm_liveness(seed: int) -> dict[str, Any] | None:
    """A campaign's `liveness`, in every second seed: how the rest stays broken after the load, or None."""
    knobs = Knobs(seed, "swarm/liveness")
    return {"rest": knobs.choose("rest", sorted(WAYS))} if knobs.on("at-all") else None

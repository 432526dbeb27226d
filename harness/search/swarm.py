"""Swarm testing: from a seed to a simulation with some kinds of fault and without others (Groce et al. 2012).

A fault that is always present hides bugs that need its absence, and one rate for all runs finds only bugs at that rate. So each seed switches each
kind on or off and draws its rates. Every knob has its own draw: adding a knob changes no other. How each sort of fault is drawn is in
`nemesis/specs/draws.py`.

    options = swarm(7, SimOptions())
    items = swarm_faults(7, ["n1", "n2", "n3"], 30 * SECOND)      # items of a campaign's `faults:`
    more = swarm_node(7)                                          # fields of a campaign's `system`
    last = swarm_liveness(7)                                      # a campaign's `liveness`, or None
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..nemesis.catalog.knobs import Knobs
from ..nemesis.specs import draws
from ..nemesis.specs.draws import LINKS, Item, Sort
from ..nemesis.topology.liveness import WAYS
from ..simulator.options import MICROSECOND, MILLISECOND, SimOptions
from ..user_files.quantities import format_ns, parse_ns


def swarm(seed: int, base: SimOptions) -> SimOptions:
    """Return `base` with all simulation parameters drawn again; how it is checked and recorded stays."""
    knobs = Knobs(seed, "swarm/world")
    orderly = knobs.on("orderly", ORDERLY_PPM) or outage_periods(seed) is not None

    def rate(name: str, *ppm: int) -> int:
        disorder = name in _DISORDERS
        return int(knobs.choose(name, ppm)) if knobs.on(name) and not (orderly and disorder) else 0

    return replace(
        base,
        latency_min_ns=knobs.choose("latency-min", (20, 100, 200, 500, 2_000, 10_000)) * MICROSECOND,
        latency_mean_ns=knobs.choose("latency-mean", (10, 100, 300, 1_000, 5_000, 20_000)) * MICROSECOND,
        loss_ppm=rate("loss", 1_000, 10_000, 50_000, 150_000),
        duplicate_ppm=rate("duplicate", 1_000, 20_000, 100_000, 300_000),
        reorder_ppm=rate("reorder", 1_000, 20_000, 100_000),
        reorder_ns=knobs.choose("reorder-by", (2, 20, 100, 700)) * MILLISECOND,
        late_ppm=rate("late", 2_000, 10_000, 50_000),
        late_ns=LATE_ELECTIONS * node_timing(seed)[2] * MILLISECOND,
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
        spare_quorum=True,
    )


ORDERLY_PPM = 150_000
_DISORDERS = frozenset({"loss", "reorder", "late", "datagram-loss", "datagram-reorder"})
"""Off in orderly simulations, in which only faults lose or delay anything, so that rules about service without a fault apply."""

OUTAGE_PPM, OUTAGE_PERIODS = 80_000, (24, 50)


def outage_periods(seed: int) -> int | None:
    """Return for some seeds the length, in periods of the failure detector, of an outage before all other faults; None for the others. The swarm's
    other faults are shorter than detectors may take to notice one.
    """
    knobs = Knobs(seed, "swarm/outage")
    return knobs.choose("periods", OUTAGE_PERIODS) if knobs.on("at-all", OUTAGE_PPM) else None


def swarm_node(seed: int) -> dict[str, Any]:
    """Fields of a campaign's `system`, the same for every node."""
    knobs = Knobs(seed, "swarm/node")
    heartbeat_ms, least_ms, most_ms = node_timing(seed)
    return {
        "timing": {"heartbeat": f"{heartbeat_ms}ms", "election_min": f"{least_ms}ms", "election_max": f"{most_ms}ms"},
        "snapshot_threshold": knobs.choose("snapshot-threshold", (10, 30, 100, 1_000, 10_000)),
        "max_batch": knobs.choose("max-batch", (1, 2, 8, 64, 1_024)),
        "lease_reads": knobs.on("lease-reads"),
    }


def node_timing(seed: int) -> tuple[int, int, int]:
    """A heartbeat, the shortest and the longest election timeout, in ms."""
    knobs = Knobs(seed, "swarm/node")
    heartbeat_ms: int = knobs.choose("heartbeat", (30, 50, 100))
    least_ms: int = heartbeat_ms * knobs.choose("patience", (4, 6, 10))
    return heartbeat_ms, least_ms, least_ms + least_ms * knobs.choose("spread", (2, 4, 10)) // 10


LATE_ELECTIONS = 3
"""Late messages arrive up to this many longest election timeouts late."""

SORTS: Mapping[str, Sort] = {name: sort for name, sort in (draws.SORTS | draws.SEARCHED).items() if not sort.plain}
"""Sorts that a seed switches on or off."""

STARTS = 48
"""About the most starts of all sorts together: under constant faults, nothing happens that could go wrong."""
DENSITIES_PPM = (100_000, 250_000, 400_000)
"""Share of the sorts that are on: few, so that the effect of one is not hidden by another's; or many."""


def swarm_faults(seed: int, nodes: Sequence[str], load_ns: int) -> list[Item]:
    """Return items as in a campaign's YAML, at most one for each sort, that can be scheduled within `load_ns`. At least one is on.

    No item is calibration: a correct node must stay valid under all of them. A majority may lose writes at once, but no writes are torn then, because the
    reference cluster may rightly stay unavailable after that.
    """
    knobs = Knobs(seed, "swarm/faults")
    density_ppm = knobs.choose("density", DENSITIES_PPM)
    chosen = [sort for sort in SORTS if knobs.on(draws.stream_of(sort), density_ppm)]
    chosen = chosen or [knobs.choose("the-only-one", list(SORTS))]
    most = min(8, max(2, STARTS // len(chosen)))
    items = [
        _timed(SORTS[sort], Knobs(seed, f"swarm/faults/{draws.stream_of(sort)}"), load_ns, most) for sort in chosen
    ]
    if knobs.on("voters", 400_000) and len(nodes) > 2:
        items += _voters(Knobs(seed, "swarm/voters"), nodes, load_ns)
    return items


def _timed(sort: Sort, knobs: Knobs, load_ns: int, most: int) -> Item:
    """Give the sort its times, few and long or many and short: one to `most` starts, each active for at most its share of its period.

    `overlap`: it may be active together with a fault of its kind from another sort.
    """
    every_ns = load_ns // (1 + knobs.between("starts", 1, most))
    for_ns = every_ns // knobs.choose("share", (sort.share, 2 * sort.share, 8 * sort.share))
    stagger_ns = knobs.between("stagger", 0, (every_ns - for_ns) // 3)
    times = {"every": every_ns, "for": for_ns, "stagger": stagger_ns}
    words = {word: format_ns(max(1, ns // MILLISECOND) * MILLISECOND) for word, ns in times.items()}
    fields = sort.draw(knobs)
    if sort.lane == LINKS and "period" in fields and 2 * parse_ns(fields["period"]) > parse_ns(words["every"]):
        # It is seen to come and go over one and a half periods, before the next start.
        fields["period"] = "50ms"
    if sort.fault == "membership":
        fields["optional"] = True
    times_given = {**words, **fields} if sort.own_time else {**fields, **words}
    return {sort.fault: {**times_given, "overlap": True}}


def _voters(knobs: Knobs, nodes: Sequence[str], load_ns: int) -> list[Item]:
    """The last node leaves the voters and comes back; or weights move back and forth, several at once, one change after the other."""
    if knobs.on("walk"):
        return _walk(knobs, nodes, load_ns)
    out_ns, back_ns = (load_ns * percent // 100 // MILLISECOND * MILLISECOND for percent in (20, 60))
    leave = {"set": {nodes[-1]: 0}, "after": format_ns(out_ns)}
    return [{"voters": leave}, {"voters": {"set": {nodes[-1]: 1}, "after": format_ns(back_ns)}}]


def _walk(knobs: Knobs, nodes: Sequence[str], load_ns: int) -> list[Item]:
    """Some changes, each of up to three weights, soon after one another: also before the one before is made. One node votes throughout."""
    steady = knobs.choose("steady", list(nodes))
    gap_ns = knobs.choose("gap", (0, 5, 30, 200, 800)) * MILLISECOND
    at_ns = load_ns * knobs.between("start", 5, 60) // 100
    items: list[Item] = []
    for number in range(knobs.between("changes", 2, 6)):
        change = Knobs(knobs.bits(f"change/{number}"), "walk")
        moved = {change.choose(f"node/{place}", list(nodes)): None for place in range(change.between("nodes", 1, 3))}
        weights = {node: change.choose(f"weight/{node}", (0, 0, 1, 1, 2, 3)) for node in moved}
        if steady in weights:
            weights[steady] = max(1, weights[steady])
        if at_ns < load_ns:
            after = format_ns(at_ns // MILLISECOND * MILLISECOND)
            items.append({"voters": {"set": weights, "after": after, "optional": True}})
        at_ns += gap_ns + change.between("later", 0, max(1, gap_ns))
    return items


def swarm_orders(seed: int) -> dict[str, int]:
    """Simulation parameters of a search over orders of steps: up to how long one overtakes another, and how often a priority changes."""
    knobs = Knobs(seed, "swarm/orders")
    return {
        "overtake_ns": knobs.choose("overtake", (200, 2_000, 20_000)) * MICROSECOND,
        "overtake_change_every": knobs.choose("change-every", (10, 50, 300)),
    }


def swarm_liveness(seed: int) -> dict[str, Any] | None:
    """A campaign's `liveness`, in every second seed: how the rest stays broken after the load, or None."""
    knobs = Knobs(seed, "swarm/liveness")
    return {"rest": knobs.choose("rest", sorted(WAYS))} if knobs.on("at-all") else None

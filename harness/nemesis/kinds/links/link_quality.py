"""Evaluation of bursts: whether a link behaves as its shape says, by the binomial distribution, with one false alarm in a million.

Pure. A link whose shape is empty is *whole* when it loses nearly nothing, duplicates nothing, and has no delay left from a fault.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

ONE_MILLION = 1_000_000
UNLIKELY = 1e-6
WITNESSES = 20
"""The expected number of packets with each effect, large enough that none is missed by chance, even in the visible part."""
FEWEST, MOST, BUDGET = 64, 1600, 10_000
"""Fewest and most packets over one link, and most over all together."""
SLACK = 0.03
"""Share of packets that a busy machine may lose by itself."""
OVERTAKEN_SHARE = 0.7
"""Share of the packets that wait to be overtaken and are; the end of the burst, or jitter, leaves the others in their place."""
RATE_SLACK = 0.8
LATER_SHARE = 0.9
WHOLE_SHARE = 0.75
"""A link whose fastest packet is late by less than this part of the delay no longer has the delay."""
SMALLEST = 32
"""Bytes of the smallest packet of a burst."""
Shape = Mapping[str, Any]


def count_for(shapes: list[Shape], links: int) -> int:
    """Return how many packets over each of so many links show every chance of these shapes; with many links, over the links into one host together."""
    names = ("loss_ppm", "duplicate_ppm", "reorder_ppm", "corrupt_ppm")
    chances: list[int] = [shape[name] for shape in shapes for name in names if shape.get(name)]
    enough = max([FEWEST, *(WITNESSES * ONE_MILLION // ppm for ppm in chances)])
    return min(MOST, enough, max(FEWEST, BUDGET // max(1, links)))


def faults_of(shape: Shape, seen: Mapping[str, Any] | None, count: int) -> list[str]:
    """Return the fields of the shape that are not as requested; empty if all are. `seen`: what arrived of `count` packets, None for nothing."""
    if seen is None:
        return ["silent"]
    wrong = odds_against(shape, seen, count)
    if seen["least_ns"] + seen["error_ns"] < shape.get("delay_ns", 0):
        wrong.append("delay")
    if seen["most_ns"] - seen["least_ns"] < shape.get("jitter_ns", 0) // 2:
        wrong.append("jitter")
    return wrong


def odds_against(shape: Shape, seen: Mapping[str, int], count: int) -> list[str]:
    """Return which chances were not met as often as requested, by the packets of one link, or of several of one shape together."""
    chance = {name: shape.get(f"{name}_ppm", 0) / ONE_MILLION for name in ("loss", "corrupt", "duplicate", "reorder")}
    kept, doubled = (1 - chance["loss"]) * (1 - chance["corrupt"]), chance["duplicate"]
    lost = (1 - doubled) * (1 - kept) + doubled * (1 - kept) ** 2
    slack = count * SLACK
    wrong = []
    least, most = likely(count, lost)
    if count - seen["came"] < least or ("rate_bps" not in shape and count - seen["came"] > most + slack):
        wrong.append("corrupt" if chance["corrupt"] > chance["loss"] else "loss")
    if seen["twice"] < likely(count, doubled * kept**2)[0] or (not doubled and seen["twice"] > slack):
        wrong.append("duplicate")
    if seen["overtaken"] < likely(count, chance["reorder"] * kept * OVERTAKEN_SHARE)[0]:
        wrong.append("reorder")
    return wrong


def together(seen: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return the sums of what came over several links."""
    return {name: sum(one[name] for one in seen) for name in ("came", "twice", "overtaken")}


def is_later(by_ns: int, seen: Mapping[str, Any], before_ns: int) -> bool:
    """Return whether packets took `by_ns` longer than the fastest one before the fault: a long link must not count as a delayed one."""
    return bool(seen["least_ns"] + seen["error_ns"] >= before_ns + by_ns * LATER_SHARE)


def is_whole(healed: Shape, seen: Mapping[str, Any] | None, count: int, before_ns: int = 0) -> bool:
    """Return whether a link that is not shaped any more is whole, given its former shape and the time of the fastest packet before the fault."""
    if seen is None or count - seen["came"] > max(1, count * SLACK) or seen["twice"] > count * SLACK:
        return False
    late_ns = healed.get("delay_ns", math.inf)
    return bool(seen["least_ns"] - seen["error_ns"] < before_ns + late_ns * WHOLE_SHARE)


def rate_burst(rate_bps: int) -> tuple[int, int]:
    """Return how many packets, and of what size, take a fifth of a second at this rate; no more than a buffer holds."""
    size = 1400 if rate_bps >= 1_000_000 else 300
    return min(200, max(8, rate_bps // 5 // ((size + 28) * 8))), size


def queued_ns(rate_bps: int | None, count: int, size: int) -> int:
    """Return how long a burst may wait for the rate, with as much again of other traffic; a second is the most that a buffer holds."""
    if rate_bps is None:
        return 0
    return min(1_000_000_000, 2 * count * (max(size, SMALLEST) + 28) * 8 * 1_000_000_000 // rate_bps)


def keeps_to_rate(rate_bps: int, seen: Mapping[str, Any] | None, size: int) -> bool:
    """Return whether what arrived of a burst took as long as it must have."""
    if seen is None or seen["came"] < 4:
        return False
    return bool(seen["span_ns"] >= RATE_SLACK * (seen["came"] - 1) * (size + 28) * 8 * 1e9 / rate_bps)


def likely(count: int, chance: float) -> tuple[int, int]:
    """Return the range of effects in `count` packets; values below and above it have a probability of one in a million each."""
    if chance <= 0:
        return 0, 0
    if chance >= 1:
        return count, count
    below, total, least = 0.0, 0.0, 0
    most = count
    for number in range(count + 1):
        total += _probability(count, number, chance)
        if total < UNLIKELY:
            least, below = number + 1, total
        if total > 1 - UNLIKELY:
            most = number
            break
    assert below < UNLIKELY
    return least, most


def _probability(count: int, number: int, chance: float) -> float:
    ways = math.lgamma(count + 1) - math.lgamma(number + 1) - math.lgamma(count - number + 1)
    return math.exp(ways + number * math.log(chance) + (count - number) * math.log1p(-chance))

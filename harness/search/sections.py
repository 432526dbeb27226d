"""Parts that a swarm adds to a campaign without them: other workloads, and in some seeds agent memory, or members with agents and tasks.

A seed has at most one of these sections, and a longer load for it. A campaign that has one of them itself is left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..campaign.model import Campaign, SystemSpec
from ..nemesis.catalog.knobs import Knobs
from ..nemesis.faults.fault import Intent
from ..simulator.options import MILLISECOND, SECOND
from ..user_files.quantities import format_ns
from .swarm import outage_periods

RACE_PPM, TRANSACTIONS_PPM, SEQUENTIAL_PPM = 600_000, 300_000, 300_000
MEMORY_PPM, MEMBERS_PPM = 120_000, 200_000
SECTION_LOAD_NS, SECTION_QUIET_NS = 8 * SECOND, 8 * SECOND
"""The least times: agents must be placed and hosts given up, memories must sync."""

Workloads = list[dict[str, Any]]


def section_of(campaign: Campaign, seed: int) -> str | None:
    """Return `memory` or `members`, for seeds that add one."""
    system, knobs = campaign.system, Knobs(seed, "swarm/section")
    if system.file is not None or any((system.membership, system.agents, system.memory)) or campaign.liveness:
        return None
    if outage_periods(seed) is None and knobs.on("memory", MEMORY_PPM):
        return "memory"
    return "members" if outage_periods(seed) is not None or knobs.on("members", MEMBERS_PPM) else None


def with_section(campaign: Campaign, section: str | None, nodes: Sequence[str], seed: int) -> Campaign:
    """The campaign with the section's part of the system, its workload and its times."""
    if section is None:
        return campaign
    knobs = Knobs(seed, f"swarm/section/{section}")
    fields, workload = (_memory if section == "memory" else _members)(knobs, nodes)
    fields |= {} if outage_periods(seed) is None else _OF_OUTAGES
    system = SystemSpec.model_validate({**campaign.system.model_dump(mode="json"), **fields})
    times = {"duration": min(max(campaign.duration, SECTION_LOAD_NS), 2 * SECTION_LOAD_NS), "settle": SECTION_QUIET_NS}
    workloads = [*campaign.workloads[:1], workload]
    return campaign.model_copy(update={"system": system, "workloads": workloads, **times})


OPEN_PPM, CROWD_PPM, QUIET_PPM = 120_000, 500_000, 60_000
QUIET_RATE = 2.0
"""Operations a second of each other workload in a quiet seed, at most."""
OPEN_BURST_NS = 80 * MILLISECOND


def open_load(seed: int, load_ns: int, nodes: Sequence[str]) -> dict[str, Any]:
    """Return, for some seeds, options of a workload whose operations do not wait for each other, with bursts. A deposed leader then has a long tail that
    conflicts.

    In half of them all its clients are at one node: when that node leads and is cut off, the next leader commits less than the tail is long.
    """
    knobs = Knobs(seed, "swarm/open-load")
    if not knobs.on("at-all", OPEN_PPM):
        return {}
    every_ns = max(4 * OPEN_BURST_NS, load_ns // knobs.choose("bursts", (3, 6)))
    bursts = {
        "every": _in_ms(every_ns),
        "for": _in_ms(OPEN_BURST_NS),
        "rate": f"{knobs.choose('rate', (500, 1_500))}/s",
    }
    crowd = {"clients_at": [knobs.choose("crowd-at", list(nodes))]} if knobs.on("crowd", CROWD_PPM) else {}
    return {"open_loop": True, "bursts": bursts, "mix": {"read": 30, "write": 70}, **crowd}


def quiet(seed: int) -> bool:
    """Return whether nearly all operations of this seed are reads.

    Then logs stay equal while leaders change, and a node that was cut off for a while may win an election.
    """
    return Knobs(seed, "swarm/quiet").on("at-all", QUIET_PPM)


QUIET_MIX = {"read": 199, "write": 1}


def _in_ms(ns: int) -> str:
    return format_ns(ns // MILLISECOND * MILLISECOND)


OUTAGE_PERIOD_NS = 100 * MILLISECOND
_OF_OUTAGES: dict[str, Any] = {"membership": {"swim_period": "100ms", "swim_timeout": "40ms"}}
OUTAGE = "early-outage"
_OUTAGE_AFTER_PERIODS, _BETWEEN_NS = 8, SECOND // 2


def outage_of(seed: int) -> list[dict[str, Any]]:
    """Return the items of `faults:` for the seed's outage; empty if the seed has no outage."""
    periods = outage_periods(seed)
    if periods is None:
        return []
    target = Knobs(seed, "swarm/outage").choose("target", ("one", "follower", "one"))
    times = {"after": _OUTAGE_AFTER_PERIODS * OUTAGE_PERIOD_NS, "for": periods * OUTAGE_PERIOD_NS}
    words = {word: format_ns(ns) for word, ns in times.items()}
    return [{"kill": {"name": OUTAGE, "target": target, **words, "overlap": True}}]


def outage_first(intents: Sequence[Intent]) -> list[Intent]:
    """Return the intents without those that begin before the seed's outage is over, if it has one."""
    mine = [intent for intent in intents if intent.key.startswith(f"{OUTAGE}.")]
    until_ns = max((intent.at_ns + (intent.for_ns or 0) + _BETWEEN_NS for intent in mine), default=0)
    return [intent for intent in intents if intent.at_ns >= until_ns or intent in mine]


def more_workloads(campaign: Campaign, seed: int) -> Workloads:
    """Races and transactions, half of them on registers; some are refused."""
    knobs, names = Knobs(seed, "swarm/workloads"), {next(iter(item)) for item in campaign.workloads}
    if campaign.system.file is not None:
        return []
    more: Workloads = []
    if "race" not in names and knobs.on("race", RACE_PPM):
        more.append(
            {"race": {"keys": knobs.choose("race-keys", (1, 1, 2)), "gap": knobs.choose("gap", ("1ms", "4ms"))}}
        )
    if "transactions" not in names and knobs.on("transactions", TRANSACTIONS_PPM):
        of, parts = knobs.choose("of", ("lists", "registers")), knobs.choose("parts", (2, 4))
        refused = knobs.choose("refused", (0, 20)) if of == "registers" else 0
        # A cas is judged by search, which takes long where much is under way at once.
        rate = "15/s" if refused else "40/s"
        more.append({"transactions": {"of": of, "parts": parts, "refused": refused, "rate": rate}})
    return more


def drawn_levels(seed: int) -> dict[str, int] | None:
    """Weights of the levels of reads of registers; None: as in the campaign."""
    knobs = Knobs(seed, "swarm/levels")
    return {"linearizable": 1, "sequential": 1} if knobs.on("sequential", SEQUENTIAL_PPM) else None


def _memory(knobs: Knobs, nodes: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    memory = {
        "sync_ns": knobs.choose("sync", ("300ms", "1s")),
        "delta_every": knobs.choose("delta", (10, 50)),
    }
    return {"memory": memory}, {"memory": {"clients": 6, "rate": "60/s", "records": knobs.choose("records", (2, 6))}}


def _members(knobs: Knobs, nodes: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    period_ms = knobs.choose("period", (100, 200, 500))
    fields = {
        "membership": {"swim_period": f"{period_ms}ms", "swim_timeout": f"{period_ms * 2 // 5}ms"},
        "agents": {},
        "peer_discovery": knobs.on("discover"),
    }
    named = list(nodes)
    tasks = {"tasks": {"clients": 4, "rate": "40/s", "agents": 8, "migrations": 3, "nodes": named}}
    agents = {"agents": {"clients": 4, "rate": "25/s", "agents": 20, "nodes": named}}
    return fields, knobs.choose("workload", (tasks, agents))

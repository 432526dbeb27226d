"""Parts that a swarm adds to a campaign without them: other workloads, and in some seeds agent memory, or members with agents and tasks.

A seed has at most one of these sections, and a longer load for it. A campaign that has one of them itself is left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..campaign.model import Campaign, SystemSpec
from ..nemesis.catalog.knobs import Knobs
from ..simulator.options import SECOND

RACE_PPM, TRANSACTIONS_PPM, SEQUENTIAL_PPM = 600_000, 300_000, 300_000
MEMORY_PPM, MEMBERS_PPM = 120_000, 200_000
SECTION_LOAD_NS, SECTION_QUIET_NS = 8 * SECOND, 8 * SECOND
"""The least times: agents must be placed and hosts given up, memories must sync."""

Workloads = list[dict[str, Any]]


def section_of(campaign: Campaign, seed: int) -> str | None:
    """`memory` or `members`, for seeds that add one."""
    system, knobs = campaign.system, Knobs(seed, "swarm/section")
    if system.file is not None or any((system.membership, system.agents, system.memory)) or campaign.liveness:
        return None
    if knobs.on("memory", MEMORY_PPM):
        return "memory"
    return "members" if knobs.on("members", MEMBERS_PPM) else None


def with_section(campaign: Campaign, section: str | None, nodes: Sequence[str], seed: int) -> Campaign:
    """The campaign with the section's part of the system, its workload and its times."""
    if section is None:
        return campaign
    knobs = Knobs(seed, f"swarm/section/{section}")
    fields, workload = (_memory if section == "memory" else _members)(knobs, nodes)
    system = SystemSpec.model_validate({**campaign.system.model_dump(mode="json"), **fields})
    times = {"duration": min(max(campaign.duration, SECTION_LOAD_NS), 2 * SECTION_LOAD_NS), "settle": SECTION_QUIET_NS}
    workloads = [*campaign.workloads[:1], workload]
    return campaign.model_copy(update={"system": system, "workloads": workloads, **times})


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

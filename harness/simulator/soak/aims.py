"""Aims: plans directed at a narrow window, for bugs that random faults seldom meet.

An aim is declared (`--aim NAME`), drawn from the same seed, and changes only the plan: parameters, actions, and ambushes, which
act when a trace line is seen. Nodes, clients and checks stay the same, and a correct node passes every aim.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ..options import MICROSECOND, MILLISECOND, SimOptions
from .plan import LEADER, Action, Ambush, Draws, SoakPlan, draw_plan, numbered

Aim = Callable[[SoakPlan, Draws], SoakPlan]


def aimed_plan(seed: int, flaws: tuple[str, ...] = (), aim: str | None = None) -> SoakPlan:
    plan = draw_plan(seed, flaws)
    if aim is None:
        return plan
    aimed = AIMS[aim](plan, Draws(seed, f"aim/{aim}"))
    return replace(aimed, aim=aim, actions=numbered(list(aimed.actions)))


def elections(plan: SoakPlan, draws: Draws) -> SoakPlan:
    """Leaders stop again and again, and messages come late and twice: votes and appends of one term arrive in the next."""
    stops = _series(plan, draws, "pause", every_ms=1000, for_ms=(300, 700))
    options = replace(
        plan.options,
        loss_ppm=50_000,
        duplicate_ppm=200_000,
        reorder_ppm=200_000,
        reorder_ns=draws.choose((100, 400, 1500)) * MILLISECOND,
    )
    return replace(plan, options=options, actions=stops)


def clock_and_cut(plan: SoakPlan, draws: Draws) -> SoakPlan:
    """A leader is cut off from the other nodes, not from clients, while its wall clock is set back."""
    return _hurried(plan, draws, _series(plan, draws, "clock-cut", every_ms=2500, for_ms=(900, 1800)))


def drift(plan: SoakPlan, draws: Draws) -> SoakPlan:
    """Clocks run as far apart as the configured bound allows, leaders are cut off, and followers are quick to replace them."""
    hurried = _hurried(plan, draws, _series(plan, draws, "isolate", every_ms=1300, for_ms=(500, 700)))
    options = replace(hurried.options, drift_max_ppm=120_000)
    heartbeat_ns, election_ns = 50 * MILLISECOND, 300 * MILLISECOND
    timing = {"heartbeat_ns": heartbeat_ns, "election_min_ns": election_ns, "election_max_ns": election_ns * 11 // 10}
    return replace(hurried, options=options, config={**hurried.config, "timing": timing, "clock_drift_ppm": 300_000})


def pause_leader(plan: SoakPlan, draws: Draws) -> SoakPlan:
    """Leaders are stopped until another may be elected, while followers' answers and clients' requests wait for them."""
    stops = _series(plan, draws, "pause", every_ms=1200, for_ms=(420, 590))
    hurried = _hurried(plan, draws, stops)
    options = replace(hurried.options, latency_mean_ns=draws.choose((2, 8)) * MILLISECOND)
    return replace(hurried, options=options, clients=13, readers=9, reader_gap_ns=400 * MILLISECOND)


def transfer_and_cut(plan: SoakPlan, draws: Draws) -> SoakPlan:
    """A leader hands over and is cut off before it learns that another was elected."""
    handovers = _series(plan, draws, "transfer-cut", every_ms=1200, for_ms=(250, 400))
    return _hurried(plan, draws, handovers)


def membership(plan: SoakPlan, draws: Draws) -> SoakPlan:
    """Voters change all the time, and a leader is often cut off with a change in its log that no other node has."""
    changes = tuple(
        replace(action, detail={name: draws.choose((0, 1, 1, 2)) for name in plan.nodes} | {plan.nodes[0]: 1})
        for action in _series(plan, draws, "voters", every_ms=500, for_ms=(1, 1))
    )
    ambush = Ambush("config", "isolate", 900 * MILLISECOND, chance_ppm=250_000)
    return replace(plan, actions=changes, ambushes=(ambush,))


def bridge(plan: SoakPlan, draws: Draws) -> SoakPlan:
    """When the faults are over, the leader and one follower stay cut off from each other, while all others reach both."""
    kept = tuple(action for action in plan.actions if action.kind != "voters")
    bridged = draws.choose(range(1, len(plan.nodes)))
    return replace(plan, voters=dict.fromkeys(plan.nodes, 1), actions=kept, bridged=bridged)


def rot(plan: SoakPlan, draws: Draws) -> SoakPlan:
    """A bit of one node's log flips while it is down; all others are enough without it."""
    spared = tuple(action for action in plan.actions if action.kind not in ("voters", "fsync"))
    at_ns = draws.between(1500, 7000) * MILLISECOND
    damage = Action(0, at_ns, "rot", draws.choose(plan.nodes), 200 * MILLISECOND, draws.bits())
    return replace(plan, voters=dict.fromkeys(plan.nodes, 1), actions=(*spared, damage))


def wipe(plan: SoakPlan, draws: Draws) -> SoakPlan:
    """The disk of a node without a vote is replaced while its leader leads on."""
    names = ("n1", "n2", "n3", "n4")
    at_ns = draws.between(1500, 7000) * MILLISECOND
    options = replace(plan.options, loss_ppm=0, reorder_ppm=0)
    replaced = Action(0, at_ns, "wipe", "n4", draws.choose((20, 300)) * MILLISECOND)
    voters = dict.fromkeys(names[:3], 1)
    return replace(plan, nodes=names, voters=voters, options=options, actions=(replaced,))


def reject(plan: SoakPlan, draws: Draws) -> SoakPlan:
    """A leader's host rejects the connections of other nodes, not of clients: to them it looks like a process that was killed."""
    return _hurried(plan, draws, _series(plan, draws, "reject", every_ms=1500, for_ms=(300, 600)))


AIMS: Mapping[str, Aim] = {
    "elections": elections,
    "clock-and-cut": clock_and_cut,
    "drift": drift,
    "pause-leader": pause_leader,
    "transfer-and-cut": transfer_and_cut,
    "membership": membership,
    "bridge": bridge,
    "rot": rot,
    "wipe": wipe,
    "reject": reject,
}

AIMED: Mapping[str, str] = {
    "stale-vote-counted": "elections",
    "stale-term-accepted": "pause-leader",
    "higher-term-in-reply-ignored": "elections",
    "readindex-context-reuse": "pause-leader",
    "wall-clock-lease": "clock-and-cut",
    "lease-drift-ignored": "drift",
    "lease-not-checked-after-pause": "pause-leader",
    "lease-survives-transfer": "transfer-and-cut",
    "config-not-rolled-back": "membership",
    "no-prevote-bridge-livelock": "bridge",
    "checksum-mismatch-truncates-middle": "rot",
    "torn-tail-trusted": "rot",
    "rejoin-same-term-progress": "wipe",
    "fast-prevote-waives-lease": "reject",
}
"""The aim for each flaw that plans without one meet less than once in a hundred seeds, or cannot meet at all."""

UNREACHABLE: Mapping[str, str] = {
    "no-prevote-bridge-livelock": "plans without an aim end all faults before they ask for progress",
    "lease-drift-ignored": "plans without an aim let clocks run apart by half a percent at most",
    "checksum-mismatch-truncates-middle": "plans without an aim damage nothing at rest",
    "rejoin-same-term-progress": "plans without an aim replace no disk",
    "fast-prevote-waives-lease": "plans without an aim refuse no connection to a process that lives",
}
"""Flaws that plans without an aim cannot meet at all, and why."""


def _series(plan: SoakPlan, draws: Draws, kind: str, every_ms: int, for_ms: tuple[int, int]) -> tuple[Action, ...]:
    """Repeat an action on the current leader at about this interval."""
    actions, at_ms = [], draws.between(700, 700 + every_ms)
    while at_ms < plan.chaos_ns // MILLISECOND - for_ms[1]:
        detail = draws.choose(plan.nodes) if kind == "transfer-cut" else None
        actions.append(Action(0, at_ms * MILLISECOND, kind, LEADER, draws.between(*for_ms) * MILLISECOND, detail))
        at_ms += draws.between(every_ms // 2, every_ms * 3 // 2)
    return tuple(actions)


def _hurried(plan: SoakPlan, draws: Draws, actions: tuple[Action, ...]) -> SoakPlan:
    """Three equal nodes on a quick network, and clients of one key, half of which only read: so that a stale answer is seen."""
    nodes = ("n1", "n2", "n3")
    options = SimOptions(
        latency_min_ns=50 * MICROSECOND,
        latency_mean_ns=draws.choose((50, 200)) * MICROSECOND,
        fsync_mean_ns=50 * MICROSECOND,
        stall_timeout_ns=3000 * MILLISECOND,
    )
    voters = dict.fromkeys(nodes, 1)
    return replace(
        plan,
        nodes=nodes,
        voters=voters,
        options=options,
        clients=6,
        readers=3,
        keys=1,
        gap_ns=20 * MILLISECOND,
        actions=actions,
    )

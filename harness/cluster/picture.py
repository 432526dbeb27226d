"""A cluster at one moment, as one of its nodes reports it: a row for each node. Pure, except `look`, which sends requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .asking import Asker

TASK_STATES = ("queued", "assigned", "done", "dead")


@dataclass(frozen=True, slots=True)
class Row:
    """One node. `raft` is `leader` or empty; `rtt_ms` is from the node that was asked (None: itself, or not measured)."""

    node: str
    address: str
    role: str
    state: str
    raft: str
    incarnation: int | None
    used: int
    slots: int
    types: str
    rtt_ms: float | None


@dataclass(frozen=True, slots=True)
class Picture:
    """`asked` is the node that reported it. `stale`: from its own copy, which may be behind others. `tasks` are counts by state. `plain`: the node has no members section."""

    asked: str
    answered: bool
    leader: str | None = None
    term: int | None = None
    stale: bool = True
    rows: tuple[Row, ...] = ()
    tasks: Mapping[str, int] | None = None
    plain: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def look(asker: Asker, node: str) -> Picture:
    """Ask for this node's own copy, so that it answers without a quorum too."""
    status = asker.status(node)
    if status is None:
        return Picture(node, False)
    views = {name: asker.looked(node, name, level="stale") for name in ("members", "agents", "tasks")}
    return picture(node, status, views["members"], views["agents"], views["tasks"])


def picture(asked: str, status: Mapping[str, Any], members: Any, pool: Any, tasks: Any) -> Picture:
    """The picture from a node's status and views; a view is None where there was none, as on a plain node."""
    if not isinstance(members, Mapping):
        return Picture(asked, True, status.get("leader"), status.get("term"), plain=True)
    hosts: Mapping[str, Any] = pool.get("hosts", {}) if isinstance(pool, Mapping) else {}
    agents: Mapping[str, Any] = pool.get("agents", {}) if isinstance(pool, Mapping) else {}
    leader = status.get("leader")
    rows = tuple(
        _row(name, record, hosts.get(name, {}), agents, leader, status.get("rtt_ns") or {})
        for name, record in sorted(members.items(), key=lambda item: _natural(item[0]))
    )
    counts = (
        {state: int(tasks[state]) for state in TASK_STATES if tasks.get(state)} if isinstance(tasks, Mapping) else None
    )
    return Picture(
        asked, True, leader, status.get("term"), status.get("quorum") is False or leader is None, rows, counts
    )


def _row(
    name: str,
    record: Mapping[str, Any],
    host: Mapping[str, Any],
    agents: Mapping[str, Any],
    leader: Any,
    rtts: Mapping[str, Any],
) -> Row:
    here = [agent for agent in agents.values() if agent.get("host") == name]
    types = sorted({str(agent.get("type")) for agent in here})
    rtt_ns = rtts.get(name)
    return Row(
        node=name,
        address=f"{record.get('host')}:{record.get('port')}",
        role=str(record.get("role", "")),
        state=str(record.get("state", "")),
        raft="leader" if name == leader else "",
        incarnation=record.get("incarnation"),
        used=int(host.get("used", len(here))),
        slots=int(host.get("slots", 0)),
        types=" ".join(f"{type_}×{sum(1 for agent in here if agent.get('type') == type_)}" for type_ in types),
        rtt_ms=None if rtt_ns is None else rtt_ns / 1e6,
    )


def _natural(name: str) -> tuple[str, int]:
    """n2 before n10."""
    digits = name[len(name.rstrip("0123456789")) :]
    return name[: len(name) - len(digits)], int(digits or 0)

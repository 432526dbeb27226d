"""From what is in force in the whole cluster to what each host shall be like: the agents' `wanted`."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from .agents import AgentClient, Json
from .resolve import Force

NOTHING_WANTED: Json = {"drop_from": [], "drop_to": [], "killed": False, "paused": False, "offset_ns": 0}


def wanted_by_host(force: Force, agents: Mapping[str, AgentClient], firewalled: Collection[str]) -> dict[str, Json]:
    """Packets are dropped by their receiver; by the sender only where the receiver has no firewall of ours."""
    return {
        name: {
            "drop_from": _addresses(agents, [source for source, sink in force.edges if sink == name], name),
            "drop_to": _addresses(
                agents, [sink for source, sink in force.edges if source == name and sink not in firewalled], name
            ),
            "killed": name in force.killed,
            "paused": name in force.paused,
            "offset_ns": force.offsets_ns.get(name, 0),
        }
        for name in firewalled
    }


def _addresses(agents: Mapping[str, AgentClient], vertices: list[str], own: str) -> list[str]:
    """Every address of these vertices, IPv4 and IPv6, except what the host also calls its own."""
    others = {address for vertex in vertices for address in agents[vertex].addresses}
    return sorted(others - set(agents[own].addresses))

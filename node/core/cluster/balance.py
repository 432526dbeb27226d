"""Plans of placement and balancing: pure functions of the members' and agents' records."""

from __future__ import annotations

from collections.abc import Mapping

from ..records.capacity import Record, hosting, most_room, orphaned, places, used_slots, utilisation

Plan = list[tuple[str, str]]
"""Agents with their destinations, in that order."""


def plan_respawns(members: Mapping[str, Record], agents: Mapping[str, Record]) -> Plan:
    """Plan a place for each agent whose process is gone, as far as there is room.

    Agents whose member is back as another process stay on it. Their slots count as taken until they run there. Otherwise, when several members come
    back that were full, an agent could lose its slot to another one.
    """
    lost = {name: agent for name, agent in sorted(agents.items()) if orphaned(agent, members)}
    used = used_slots({name: agent for name, agent in agents.items() if name not in lost})
    back = [(name, agent["host"]) for name, agent in lost.items() if hosting(members.get(agent["host"]))]
    for _, host in back:
        used[host] = used.get(host, 0) + 1
    home = dict(back)
    return back + _place(members, used, [name for name in lost if name not in home])


def plan_departures(members: Mapping[str, Record], agents: Mapping[str, Record]) -> Plan:
    """Plan the destinations of agents on members that are LEAVING, as far as there is room. Agents that are migrating already are skipped."""
    leaving = [
        name
        for name, agent in sorted(agents.items())
        if agent["moving"] is None and not orphaned(agent, members) and members[agent["host"]]["state"] == "LEAVING"
    ]
    return _place(members, used_slots(agents), leaving)


def plan_moves(members: Mapping[str, Record], agents: Mapping[str, Record], percent: int) -> Plan:
    """Plan moves that even out utilisation, once the fullest and the emptiest member differ by more than `percent`.

    The threshold only decides whether a plan begins. The plan then continues until no move improves anything, so the members end up well below the
    threshold. Each move takes an agent from the fullest member that it relieves to the member that is then the least full. A move is planned only
    when the receiver is then less full than the giver was before. The sorted list of utilisations falls with each move, so the plan ends. The agent
    with the least state is moved. Slots that an agent leaves count as taken, because it leaves them later.
    """
    hosts = [name for name in sorted(members) if hosting(members[name]) and places(members[name])]
    if len(hosts) < 2:
        return []
    homes = {
        name: agent["host"] if agent["moving"] is None else agent["moving"]["to"] for name, agent in agents.items()
    }
    count = {host: sum(home == host for home in homes.values()) for host in hosts}
    full = {host: utilisation(members[host], count[host]) for host in hosts}
    if max(full.values()) - min(full.values()) <= 10 * percent:
        return []
    used = used_slots(agents)
    taken = {host: used.get(host, 0) for host in hosts}
    movable = [
        name for name in sorted(agents) if agents[name]["moving"] is None and not orphaned(agents[name], members)
    ]
    movable.sort(key=lambda name: agents[name]["checkpoint"]["bytes"])
    plan: Plan = []
    while (step := _best_step(members, agents, movable, count, taken)) is not None:
        agent, giver, taker = step
        movable.remove(agent)
        count[giver] -= 1
        count[taker] += 1
        taken[taker] += 1
        plan.append((agent, taker))
    return plan


def _best_step(
    members: Mapping[str, Record],
    agents: Mapping[str, Record],
    movable: list[str],
    count: Mapping[str, int],
    taken: Mapping[str, int],
) -> tuple[str, str, str] | None:
    """Return an agent, its source and its destination; None when no move helps."""
    takers = [host for host in count if taken[host] < places(members[host])]
    for giver in sorted(count, key=lambda host: (-utilisation(members[host], count[host]), host)):
        agent = next((name for name in movable if agents[name]["host"] == giver), None)
        others = [(utilisation(members[host], count[host] + 1), host) for host in takers if host != giver]
        if agent is not None and others and min(others)[0] < utilisation(members[giver], count[giver]):
            return agent, giver, min(others)[1]
    return None


def _place(members: Mapping[str, Record], used: dict[str, int], agents: list[str]) -> Plan:
    plan: Plan = []
    for agent in agents:
        host = most_room(members, used)
        if host is None:
            break
        used[host] = used.get(host, 0) + 1
        plan.append((agent, host))
    return plan

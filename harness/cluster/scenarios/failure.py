"""Nodes that fall silent, and clusters with and without a quorum."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..asking import Refused
from ..deployed import Deployed
from ..scenario import Scenario
from ..waiting import Missed, expect
from .setups import FIVE, HEARTBEAT, HEARTBEAT_NS, SCALE, SILENCE_NS, SWIM

TASKS, TASK_MS = 4, 2000
NOTICED_S = 15.0
"""How long a cluster may take to notice that it has a quorum again, or has lost it."""


def silence(cluster: Deployed) -> str:
    """Uses the plain heartbeat, with the published times divided by ten, and then SWIM with its defaults."""
    lost = _node_lost(cluster)
    cluster.redeploy(SWIM)
    by_swim = _node_lost(cluster)
    return f"heartbeat {HEARTBEAT_NS / 1e9:g} s, silence {SILENCE_NS / 1e9:g} s (the published times / {SCALE}): {lost}; SWIM: {by_swim}"


def _node_lost(cluster: Deployed) -> str:
    first, second, third = cluster.names
    cluster.spawn("s12-a", "data", second)
    cluster.spawn("s12-b", "data", third)
    tasks = [f"s12-t{number}" for number in range(TASKS)]
    for task in tasks:
        cluster.submit(task, "data", "sleep", {"ms": TASK_MS}, through=first, settle=False)
    cluster.until(f"a task to run on {second}", lambda: _on(cluster, second), 10.0, seen=cluster.running)
    with cluster.fault("kill", nodes=[second]) as injected_ns:
        cluster.until(
            f"{second} to be FAILED", lambda: cluster.states().get(second) == "FAILED", 30.0, seen=cluster.states
        )
        took_s = (time.monotonic_ns() - injected_ns) / 1e9
        cluster.ended(tasks, 30.0)
        agent = cluster.until("its agent to run elsewhere", lambda: _elsewhere(cluster, "s12-a", [first, third]), 20.0)
    cluster.settle()
    return f"FAILED after {took_s:.2f} s, {len(tasks)} of {len(tasks)} tasks done, its agent on {agent}"


def quorum(cluster: Deployed) -> str:
    up = cluster.names[: _majority(cluster)]
    with cluster.fault("kill", nodes=cluster.names[len(up) :]) as injected_ns:
        took_s = _write_goes_through(cluster, up, "s13-a", injected_ns)
        _stop(cluster, up, "s13-a")
    cluster.settle()
    return f"{len(up)} of {len(cluster.names)} up: a write was accepted within {took_s:.1f} s of the others' death"


def no_quorum(cluster: Deployed) -> str:
    up = cluster.names[_majority(cluster) :]
    with cluster.fault("kill", nodes=cluster.names[: _majority(cluster)]):
        errors = [_refusal(cluster, name, "s14") for name in up]
        stale = [_stale_read(cluster, name) for name in up]
        expect(all(stale), f"reads of {up} without a quorum do not say that they may be stale")
    cluster.settle()
    agents = cluster.pool()["agents"]
    expect(not [agent for agent in agents if agent.startswith("s14")], f"a refused write took effect: {agents}")
    return f"{len(up)} of {len(cluster.names)} up: writes refused ({', '.join(sorted(set(errors)))}), reads answered as stale; nothing of it took effect"


def partition(cluster: Deployed) -> str:
    """The leader is put into the smaller side, which is the harder case."""
    leader = cluster.leader()
    ordered = sorted(cluster.names, key=lambda name: name != leader)
    small, large = ordered[: -_majority(cluster)], ordered[-_majority(cluster) :]
    with cluster.partition(small, large) as injected_ns:
        took_s = _write_goes_through(cluster, large, "s15-a", injected_ns)
        errors = [_refusal(cluster, name, "s15-no") for name in small]
    cluster.settle()
    views = cluster.until("all of them to agree", lambda: _agreed(cluster), 20.0)
    agents = [agent for agent in views if agent.startswith("s15")]
    expect(agents == ["s15-a"], f"written by the larger side was s15-a; after healing there are {agents}")
    return (
        f"{'+'.join(large)} wrote within {took_s:.1f} s of the cut, {'+'.join(small)} with the old leader refused ({', '.join(sorted(set(errors)))}); "
        "healed, all have one digest"
    )


def _majority(cluster: Deployed) -> int:
    return len(cluster.voters) // 2 + 1


def _on(cluster: Deployed, host: str) -> bool:
    return any(task["host"] == host for task in cluster.running())


def _elsewhere(cluster: Deployed, agent: str, hosts: Sequence[str]) -> str | None:
    record = cluster.agent(agent)
    return (
        str(record["host"]) if record is not None and record["host"] in hosts and record["state"] == "running" else None
    )


def _write_goes_through(cluster: Deployed, up: Sequence[str], agent: str, injected_ns: int) -> float:
    """Return how long after the fault a write was accepted, in s; it is tried at each of these in turn, from the time when the fault was verified."""
    tried: list[str] = []

    def write() -> bool:
        for name in up:
            try:
                cluster.asker.do(
                    name, "agents.spawn", {"agent": agent, "type": "data", "on": up[-1]}, timeout_s=2.0, patient=False
                )
                return True
            except (Refused, Missed) as error:
                tried.append(str(error))
        return False

    cluster.until(f"a write at {', '.join(up)}", write, NOTICED_S, seen=lambda: tried[-1:])
    return (time.monotonic_ns() - injected_ns) / 1e9


def _stop(cluster: Deployed, up: Sequence[str], agent: str) -> None:
    cluster.asker.do(up[0], "agents.stop", {"agent": agent}, timeout_s=10.0)


def _refusal(cluster: Deployed, name: str, prefix: str) -> str:
    """Return the error with which this node refuses a write, once it knows that it has no quorum. An accepted write is a failure of the scenario."""
    last: list[str] = []

    def look() -> str | None:
        fields = {"agent": f"{prefix}-{name}", "type": "data", "on": name}
        try:
            cluster.asker.do(name, "agents.spawn", fields, timeout_s=2.0, patient=False)
        except Refused as refused:
            last.append(refused.error)
            return refused.error if refused.answer.get("status") == "fail" and refused.error == "no-quorum" else None
        except Missed as error:
            last.append(str(error))
            return None
        raise Missed(f"{name} accepted a write without a quorum")

    return cluster.until(f"{name} to refuse writes", look, NOTICED_S, seen=lambda: last[-1:])


def _stale_read(cluster: Deployed, name: str) -> bool:
    body = {"view": "members", "with": {}, "level": "stale", "deadline_ms": 2000}
    answer = cluster.asker.ask(name, body, 2.0)
    return answer.get("status") == "ok" and answer.get("stale") is True


def _agreed(cluster: Deployed) -> list[str] | None:
    digests = [cluster.asker.ask(name, {"admin": "digest"}) for name in cluster.names]
    if len({(answer.get("index"), answer.get("digest")) for answer in digests}) != 1:
        return None
    return sorted(cluster.pool()["agents"])


SCENARIOS = (
    Scenario(12, "failure", "node 2 silent for 30 s", "marked FAILED; its tasks run elsewhere", HEARTBEAT, silence),
    Scenario(13, "failure", "3 of 5 nodes up", "quorum: writes accepted", FIVE, quorum),
    Scenario(14, "failure", "2 of 5 nodes up", "no quorum: read-only, writes refused", FIVE, no_quorum),
    Scenario(15, "failure", "partition 2 + 3", "only the three write; after healing the two agree", FIVE, partition),
)

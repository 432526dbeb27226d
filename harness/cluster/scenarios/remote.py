"""Agents and tasks on nodes other than the one that received the request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..deployed import Deployed
from ..scenario import Scenario
from ..waiting import expect
from .setups import THREE

KEYS = 5
MEASURED_S = 20.0
"""A node probes each of the others once a second; a busy machine takes its time."""
LONG_MS = 3000
"""A task that keeps its agent busy while others are routed."""


def spawn(cluster: Deployed) -> str:
    first, second = cluster.names[:2]
    cluster.until(
        f"{first} to have measured the way to {second}",
        lambda: (cluster.status(first).get("rtt_ns") or {}).get(second),
        MEASURED_S,
        seen=lambda: cluster.status(first).get("rtt_ns"),
    )
    answer, took_ms = cluster.spawn("s4-a", "code", second, through=first)
    record, network_ns = answer["record"], answer["network_ns"]
    expect(
        (record["host"], record["type"], record["state"]) == (second, "code", "running"),
        f"asked for a code agent on {second}: {record}",
    )
    expect(isinstance(network_ns, int) and network_ns > 0, f"the answer's network latency is {network_ns!r}")
    return f"runs on {second} after {took_ms:.1f} ms, of which the network's round trip {network_ns / 1e6:.2f} ms"


def local_first(cluster: Deployed) -> str:
    first, second = cluster.names[:2]
    cluster.spawn("s5-a", "vision", first)
    cluster.spawn("s5-b", "vision", second)
    for number in range(5):
        answer = cluster.submit(
            f"s5-t{number}", "vision", "echo", {"say": number}, through=first, strategy="local-first"
        )
        record = answer["record"]
        expect(record["host"] == first, f"task {number} submitted on {first} ran on {record['host']}")
        expect(answer["network_ns"] == 0, f"a local task took a network hop of {answer['network_ns']!r} ns")
    return f"5 of 5 tasks ran on {first}, with 0 ms of network"


def fallback(cluster: Deployed) -> str:
    """The only local agent of this type has a full queue; the other agent is idle."""
    first, second = cluster.names[:2]
    cluster.spawn("s6-a", "voice", first)
    cluster.submit("s6-long", "voice", "sleep", {"ms": LONG_MS}, through=first, strategy="local-first", settle=False)
    cluster.until(
        f"the pool of {first} to be busy",
        lambda: _runs(cluster, "s6-long", first),
        5.0,
        seen=lambda: cluster.task("s6-long"),
    )
    cluster.spawn("s6-b", "voice", second)
    record = cluster.submit("s6-t", "voice", "echo", {"say": 1}, through=first, strategy="local-first")["record"]
    expect(record["host"] == second, f"{first} was busy, yet the task ran on {record['host']}")
    busy = cluster.task("s6-long")
    expect(
        busy is not None and busy["state"] != "done",
        "the long task was over before the other one had ended: nothing is shown",
    )
    cluster.ended(["s6-long"], 10.0)
    return f"with the agent of {first} busy, the task ran on {second}"


def migrate(cluster: Deployed) -> str:
    """The tasks of the load do not change the agent's state, so it must be the same to the byte; its content was written by tasks."""
    first, third = cluster.names[0], cluster.names[2]
    record = cluster.spawn("s7-a", "system", first)[0]["record"]
    for number in range(KEYS):
        cluster.submit(f"s7-l{number}", "system", "learn", {"set": {f"k{number}": number}}, through=first)
    before = cluster.until(
        "its state to be checkpointed", lambda: _state(cluster, "s7-a"), 10.0, seen=lambda: cluster.agent("s7-a")
    )
    step = {"type": "system", "handler": "sleep", "payload": {"ms": 100}}
    chains = [f"s7-c{number}" for number in range(3)]
    for chain in chains:
        cluster.submit(chain, "system", "sleep", {"ms": 100}, through=first, settle=False, steps=[step] * 5)
    fields = {"agent": "s7-a", "epoch": record["epoch"], "to": third}
    moved = cluster.asker.do(first, "agents.move", fields, settle=True, timeout_s=20.0)["record"]
    expect(moved["host"] == third and moved["epoch"] > record["epoch"], f"moved to {third}, it is {moved}")
    unfinished = sum((cluster.task(chain) or {}).get("state") not in ("done", "dead") for chain in chains)
    expect(unfinished > 0, "all chains were over before the agent had moved: there was no load")
    after = _state(cluster, "s7-a")
    expect(after == before, f"the state was {before} and is {after}")
    cluster.ended(chains, 30.0)
    paused = (cluster.agent("s7-a") or {}).get("pause_ns")
    paused_for = "" if paused is None else f", paused for {paused / 1e6:.1f} ms"
    return f"{first} → {third}{paused_for}; {KEYS} keys with equal digest; {unfinished} chains under way, all {len(chains)} × 6 steps done"


def _state(cluster: Deployed, agent: str) -> Mapping[str, Any] | None:
    """Digest and values of its saved state, once all keys are saved."""
    keys = [f"k{number}" for number in range(KEYS)]
    found = cluster.asker.looked(cluster.any(), "agents", {"agent": agent, "keys": keys})
    if not found or sorted(found["keys"]) != keys:
        return None
    return {"digest": found["checkpoint"]["digest"], "values": found["values"]}


def _runs(cluster: Deployed, task: str, host: str) -> bool:
    record = cluster.task(task)
    return record is not None and record["state"] == "assigned" and record["host"] == host


SCENARIOS = (
    Scenario(
        4,
        "remote",
        "spawn a code agent on node 2 from node 1",
        "runs there; the answer has spawn time and network latency",
        THREE,
        spawn,
    ),
    Scenario(5, "remote", "local-first, local agent free", "runs locally, no network hop", THREE, local_first),
    Scenario(6, "remote", "local pool full, remote has room", "runs remotely", THREE, fallback),
    Scenario(
        7,
        "remote",
        "migrate an agent from node 1 to 3 under load",
        "equal state before and after; the task chain goes on",
        THREE,
        migrate,
    ),
)

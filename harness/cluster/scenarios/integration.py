"""Parts working together: one pool, and chains of tasks across nodes."""

from __future__ import annotations

from ..deployed import Deployed
from ..scenario import Scenario
from ..waiting import expect
from .setups import THREE

AGENTS = 12
STEP_MS = 300
CHAIN = ("code", "vision", "data")
"""The type of the agent for each step; each node has one of them."""


def pool(cluster: Deployed) -> str:
    for number in range(AGENTS):
        cluster.spawn(f"s22-a{number:02}", "generic", cluster.names[number % 3], through=cluster.names[number % 3])
    views = {name: cluster.asker.view(name, "agents") for name in cluster.names}
    first, *others = views.values()
    expect(all(view == first for view in others), f"the views differ: {views}")
    ours = [agent for agent in first["agents"] if agent.startswith("s22")]
    expect(len(ours) == AGENTS, f"of {AGENTS} agents there are {len(ours)}")
    used = ", ".join(f"{name} {host['used']}/{host['slots']}" for name, host in sorted(first["hosts"].items()))
    return f"{len(ours)} agents, the same view from each of {len(views)} nodes: {used}"


def chain(cluster: Deployed) -> str:
    """The node of each step is taken from the task's record while it runs, and its result from the last step's value, which contains the earlier ones."""
    for name, type_ in zip(cluster.names, CHAIN, strict=True):
        cluster.spawn(f"s23-{type_}", type_, name)
    first, *rest = CHAIN
    steps = [{"type": type_, "handler": "sleep", "payload": {"ms": STEP_MS}} for type_ in rest]
    cluster.submit("s23-t", first, "sleep", {"ms": STEP_MS}, through=cluster.names[0], settle=False, steps=steps)
    hosts: dict[int, str] = {}

    def ended() -> bool:
        record = cluster.task("s23-t")
        if record is None:
            return False
        if record["host"] is not None:
            hosts[int(record["step"])] = str(record["host"])
        return record["state"] in ("done", "dead")

    cluster.until("the chain to end", ended, 15.0, seen=lambda: cluster.task("s23-t"))
    cluster.ended(["s23-t"], 5.0)
    ran = [hosts.get(step, "unseen") for step in range(len(CHAIN))]
    expect(
        ran == cluster.names, f"the chain should have run on {' → '.join(cluster.names)}, and ran on {' → '.join(ran)}"
    )
    return f"{' → '.join(ran)}, done"


SCENARIOS = (
    Scenario(22, "integration", "3 nodes, 12 agents", "one pool view, the same from each node", THREE, pool),
    Scenario(23, "integration", "task chain node 1 → 2 → 3", "completes across nodes", THREE, chain),
)

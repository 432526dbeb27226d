"""The log of messages changes nothing, and knows which messages a partition kept from arriving."""

from __future__ import annotations

from pathlib import Path

from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.simulated import simulate
from tribulation.harness.simulator.network.message_log import MessageLog

CAMPAIGN = """
name: logged
hosts: {provider: sim, nodes: 3}
system: {name: reference, timing: fast}
duration: 3s
workloads: [{register: {clients: 2, rate: 40/s}}]
faults: [{partition: {shape: leader-minority, after: 1s, for: 1s}}]
"""


def test_every_message_is_logged_and_nothing_changes(tmp_path: Path) -> None:
    path = tmp_path / "campaign.yaml"
    path.write_text(CAMPAIGN)
    plan = make_plan(load_campaign(path, hosts="sim"), tmp_path)
    logs: list[MessageLog] = []
    done = simulate(plan, watch=lambda cluster: logs.append(MessageLog(cluster.kernel, cluster.peers)))
    assert done.digest == simulate(plan).digest

    every = list(logs[0].between([(0, 1 << 62)]))
    arrived = [one for one in every if one.arrived_ns is not None]
    assert len(arrived) == done.cluster.peers.delivered
    assert all(one.sent_ns < (one.arrived_ns or 0) for one in arrived)
    assert {"append", "heartbeat"} <= {one.kind for one in every}

    cut = next(fault for fault in done.record.faults if fault.kind == "cut")
    assert cut.injected_ns is not None and cut.heal_ns is not None
    inside = (done.start_ns + cut.injected_ns, done.start_ns + cut.heal_ns)
    edges = {tuple(edge) for edge in cut.intended["edges"]}
    over = [one for one in logs[0].between([inside]) if (one.source, one.target) in edges and one.sent_ns >= inside[0]]
    assert over and not [one for one in over if inside[0] < (one.arrived_ns or 0) < inside[1]]

    short = (inside[0], inside[0] + 1_000_000)
    near = list(logs[0].between([short]))
    assert 0 < len(near) < len(every)
    assert all(one.sent_ns <= short[1] and (one.arrived_ns or one.sent_ns) >= short[0] for one in near)

"""Recordings as nodes on hosts leave them, made by a simulated cluster: every step of every incarnation, written as the runtime writes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.plan.plan import Plan
from tribulation.harness.run.simulated import Simulated, node_configs, simulate
from tribulation.harness.simulator.cluster.cluster import SimCluster
from tribulation.harness.simulator.cluster.digest import RunDigest
from tribulation.node.core.interface.effects import Effect
from tribulation.node.core.interface.events import Event
from tribulation.node.runtime.telemetry.recording import RecordedStep, effects_crc, encode_header, encode_step

CAMPAIGN = """
name: recorded
hosts: {provider: sim, nodes: 3}
system: {name: reference, timing: fast, snapshot_threshold: 40}
seed: 3
duration: 3s
settle: 500ms
workloads:
  - register: {keys: 2, clients: 3, rate: 100/s}
faults:
"""
KILL_AND_CUT = """
  - kill: {target: [n2], after: 500ms, restart_after: 500ms}
  - partition: {shape: isolate-one, target: [n1], after: 1500ms, for: 1s}
"""
POWER = """
  - power-loss: {target: [n1], after: 503ms, for: 500ms}
"""


class Recorder(RunDigest):
    """Sees every step where the digest does."""

    def __init__(self, cluster: SimCluster, steps: dict[tuple[str, int], list[RecordedStep]]) -> None:
        super().__init__(full=False)
        self._cluster, self._steps = cluster, steps

    def step(self, now_ns: int, node: str, events: Sequence[Event], effects: Sequence[Effect]) -> None:
        super().step(now_ns, node, events, effects)
        of = self._cluster.nodes[node]
        taken = RecordedStep(of.mono_ns(), tuple(events), effects_crc(effects))
        self._steps.setdefault((node, of.incarnation), []).append(taken)


@dataclass
class Recorded:
    """A run, and every step of it by node and incarnation."""

    done: Simulated
    steps: dict[tuple[str, int], list[RecordedStep]] = field(repr=False)

    def write(self, run_dir: Path, **more: object) -> Path:
        """`inputs/` of a run's folder; `more` changes the nodes' configuration."""
        for key, steps in self.steps.items():
            self.write_incarnation(run_dir, key, steps, **more)
        return run_dir

    def write_incarnation(
        self, run_dir: Path, key: tuple[str, int], steps: Sequence[RecordedStep], **more: object
    ) -> None:
        node, incarnation = key
        path = run_dir / "inputs" / node / f"events-{incarnation:06d}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        config = {**node_configs(self.done.plan)[node].to_json(), **more}
        records = [encode_step(s.now_ns, [(event, None) for event in s.events], s.effects_crc) for s in steps]
        path.write_bytes(encode_header(node, config) + b"".join(records))


def record(place: Path, faults: str, seed: int = 3) -> Recorded:
    """Carry out the campaign with these faults, recording."""
    path = place / "recorded.yaml"
    path.write_text(CAMPAIGN + faults, encoding="utf-8")
    plan: Plan = make_plan(load_campaign(path, [f"seed={seed}"]), place)
    steps: dict[tuple[str, int], list[RecordedStep]] = {}

    def watch(cluster: SimCluster) -> None:
        cluster.digest = Recorder(cluster, steps)

    return Recorded(simulate(plan, watch=watch), steps)

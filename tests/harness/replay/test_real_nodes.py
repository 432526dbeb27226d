"""Real processes and real sockets: what they recorded happens again, and what clients see is what they see in the simulator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.harness.systems.cluster import Cluster
from tests.harness.systems.loopback import wait_for
from tribulation.harness.errors import HostError
from tribulation.harness.evidence.seal import place_of
from tribulation.harness.hosts.local import LocalProvider, launch, list_labs
from tribulation.harness.replay.nodes.cluster import replay_cluster
from tribulation.harness.replay.nodes.nodes import read_incarnations, replay_nodes
from tribulation.harness.simulator.cluster.cluster import SimCluster
from tribulation.harness.simulator.network.clients import Answer, End
from tribulation.harness.simulator.options import SECOND, SimOptions
from tribulation.harness.systems.base import Op, Outcome
from tribulation.harness.systems.reference.client import ReferenceProtocol, Request
from tribulation.histories.files.store import read_traces
from tribulation.node.config.node import NodeConfig

ROOT = Path(__file__).parents[3]
NODES = ("n1", "n2", "n3")
TIMEOUT_S = 20.0


def test_processes_that_were_killed_are_replayed_as_a_cluster(tmp_path: Path) -> None:
    """Writes through all nodes; a follower and then the leader are killed with SIGKILL and come back."""
    with Cluster(tmp_path / "cluster", 3) as cluster:
        for round_number in range(3):
            for number in range(30):
                name = NODES[number % 3]
                cluster.until_ok(Op("write", f"k{number % 4}", 100 * round_number + number), lambda name=name: name)  # type: ignore[misc]
            leader = cluster.leader()
            victim = leader if round_number else next(name for name in NODES if name != leader)
            cluster.kill(victim)
            cluster.restart(victim)
            # A recording reaches the disk a tenth of a second later; until then its incarnation has said nothing.
            wait_for(lambda victim=victim: newest(cluster, victim).stat().st_size > 0, "the recording to begin")  # type: ignore[misc]
        for host in cluster.hosts:
            for name, content in cluster.service.collect(host).items():
                path = tmp_path / "run" / place_of(host.name, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    lives = read_incarnations(tmp_path / "run")
    assert len(lives) == 6
    nodes = replay_nodes(lives, read_traces(tmp_path / "run"))
    assert [node.difference for node in nodes] == [None] * 6
    assert sum(node.traces for node in nodes) > 100
    whole = replay_cluster(lives)
    assert whole.exact, whole
    assert whole.steps == whole.recorded and whole.messages.matched > 100
    assert sum(whole.boots.values()) == 3 and "other" not in whole.boots


def newest(cluster: Cluster, node: str) -> Path:
    return max(cluster.file(node, "inputs").glob("events-*.log"))


def script(seed: int, length: int = 150) -> list[tuple[str, Op]]:
    """(node, operation): one after the other, so that one outcome is right for each."""
    random = Random(seed)
    ops: list[tuple[str, Op]] = []
    for number in range(length):
        key, f = f"k{random.randrange(3)}", random.choice(["read", "read", "write", "cas", "add", "members", "txn"])
        make: dict[str, tuple[Any, Any, str]] = {
            "read": (key, None, ""),
            "write": (key, random.randrange(4), ""),
            "cas": (key, [random.randrange(4), random.randrange(4)], ""),
            "add": (f"s-{key}", number, "set"),
            "members": (f"s-{key}", None, "set"),
            "txn": (None, [["r", key, None], ["append", f"l-{key}", number]], ""),
        }
        on, value, workload = make[f]
        ops.append((random.choice(NODES), Op("read" if f == "members" else f, on, value, workload=workload)))
    return ops


def seen(outcome: Outcome) -> tuple[str, str, str | None, str]:
    """Outcomes that a client can report and that do not depend on which node leads."""
    return outcome.type, json.dumps(outcome.value), outcome.error, json.dumps(outcome.extra.get("observed"))


def on_processes(place: Path, ops: list[tuple[str, Op]]) -> list[tuple[str, str, str | None, str]]:
    with Cluster(place, 3, timing="default") as cluster:
        clients = {name: cluster.client(name) for name in NODES}
        return [seen(clients[name].invoke(op, TIMEOUT_S)) for name, op in ops]


def in_simulator(seed: int, ops: list[tuple[str, Op]]) -> list[tuple[str, str, str | None, str]]:
    peers = {name: ["127.0.0.1", 10_000] for name in NODES}
    configs = {name: NodeConfig.from_json({"node": name, "cluster": "test", "peers": peers}) for name in NODES}
    cluster = SimCluster(configs, seed, SimOptions())
    cluster.start_all()
    cluster.run_until(10 * SECOND)
    protocols = {name: ReferenceProtocol() for name in NODES}
    return [seen(_simulated(cluster, protocols[name], name, op)) for name, op in ops]


def _simulated(cluster: SimCluster, protocol: ReferenceProtocol, node: str, op: Op) -> Outcome:
    step: Request | Outcome | None = protocol.begin(op, TIMEOUT_S)
    while isinstance(step, Request):
        answer = _answer(cluster, node, step)
        assert answer.end is End.REPLY and answer.body is not None
        step = protocol.receive(answer.body)
    assert step is not None
    return step


def _answer(cluster: SimCluster, node: str, request: Request) -> Answer:
    answers: list[Answer] = []
    cluster.request("client", node, request.body, answers.append)
    assert cluster.run_while(lambda: not answers, cluster.now_ns + int(TIMEOUT_S * SECOND))
    return answers[0]


@pytest.mark.full
def test_clients_see_the_same_of_processes_and_of_the_simulator(tmp_path: Path) -> None:
    """A script without faults: reads, writes, compare-and-set, sets and transactions, through all nodes in turn."""
    ops = script(seed=11)
    real, simulated = on_processes(tmp_path, ops), in_simulator(5, ops)
    for (node, op), ours, theirs in zip(ops, real, simulated, strict=True):
        assert ours == theirs, f"{op} at {node}"
    kinds = {(type_, error) for type_, _, error, _ in real}
    assert kinds == {("ok", None), ("fail", "mismatch")}


CAMPAIGN = """
name: flawed-on-hosts
hosts: {provider: local, nodes: 3}
system: {name: reference, timing: fast, flaws: [stale-read-from-deposed-leader]}
duration: 4s
settle: 500ms
workloads:
  - register: {keys: 2, clients: 6, rate: 150/s, mix: {read: 60, write: 40}}
faults:
  - partition: {shape: isolate-one, target: leader, after: 1s, for: 2s}
checkers: [linearizable]
expect: invalid
"""


@pytest.fixture
def labs(tmp_path: Path) -> Path:
    try:
        launch.check_programs()
        launch.check_namespaces()
    except HostError as error:
        pytest.skip(str(error))
    return tmp_path / "labs"


@pytest.mark.full
def test_a_flaw_that_was_caught_on_hosts_is_replayed(labs: Path, tmp_path: Path) -> None:
    """Caught in a lab of namespaces; then each node, and the cluster, step by step as it was; then found again in the simulator."""
    (tmp_path / "flawed.yaml").write_text(CAMPAIGN, encoding="utf-8")

    def tri(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tribulation.harness.cli", *words],
            cwd=ROOT,
            env={**os.environ, "TRI_LABS": str(labs)},
            capture_output=True,
            text=True,
            timeout=200,
        )

    try:
        ran = tri("run", str(tmp_path / "flawed.yaml"), "--seed", "1", "--runs", str(tmp_path / "runs"))
        assert ran.returncode == 1, ran.stdout + ran.stderr
        run_dir = str((tmp_path / "runs" / "latest").resolve())
        done = tri("replay", run_dir, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        document = json.loads(done.stdout)
        assert [node["equal"] for node in document["tier_a"]] == [True] * 3
        assert document["tier_b"]["exact"] and document["tier_b"]["messages"]["unexplained"] == []
        assert document["tier_b"]["messages"]["lost"] > 0, "the cut lost some"
        found = tri("replay", run_dir, "--tier", "c", "--tries", "60", "--runs", str(tmp_path / "found"), "--json")
        assert found.returncode == 0, found.stdout + found.stderr
        assert tri("replay", json.loads(found.stdout)["tier_c"]["kept"]).stdout.startswith("equal")
    finally:
        for left in list_labs(labs):
            LocalProvider(nodes=1, name=left.name, directory=labs).down()

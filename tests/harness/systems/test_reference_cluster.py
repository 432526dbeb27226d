"""Three real nodes: what was acknowledged survives kill -9, and no stranger, slow reader or silent peer harms the others."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tribulation.harness.systems.base import Op
from tribulation.node.config.node import NodeConfig
from tribulation.node.core.core import Core
from tribulation.node.runtime.telemetry.recording import effects_crc, read_recording
from tribulation.node.wire import HEADER, Decoder, Kind, encode

from .cluster import Cluster
from .fuzz import attack
from .kill_loop import kill_under_load
from .loopback import wait_for


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster"), 3) as cluster:
        yield cluster


def test_every_node_answers_and_the_levels_are_what_they_say(cluster: Cluster) -> None:
    client = cluster.client(cluster.leader())
    assert client.invoke(Op("write", "a", 1), 5.0).type == "ok"
    assert client.invoke(Op("cas", "a", [1, 2]), 5.0).type == "ok"
    mismatch = client.invoke(Op("cas", "a", [1, 3]), 5.0)
    assert (mismatch.type, mismatch.error) == ("fail", "mismatch")
    for host in cluster.hosts:
        outcome = cluster.until_ok(Op("read", "a"), lambda host=host: host.name)
        assert (outcome.value, outcome.extra["served_by"]) == (2, host.name)
    assert cluster.client("n1").invoke(Op("read", "a", level="stale"), 5.0).extra["stale"] is True
    assert client.invoke(Op("add", "s", 1, workload="set"), 5.0).type == "ok"
    assert client.invoke(Op("read", "s", workload="set"), 5.0).value == [1]


def test_acknowledged_writes_survive_kill_minus_9(cluster: Cluster) -> None:
    """The leader, then everybody at once, in the middle of writing."""
    acknowledged: dict[str, int] = {}
    for round_number in range(3):
        leader = cluster.leader()
        client = cluster.client(leader)
        for number in range(30):
            value = 100 * round_number + number
            assert client.invoke(Op("write", f"durable-{value}", value), 5.0).type == "ok"
            acknowledged[f"durable-{value}"] = value
        victims = [leader] if round_number == 0 else [host.name for host in cluster.hosts]
        cluster.kill(*victims)
        cluster.restart(*victims)
    reader = cluster.client(cluster.leader())
    assert {key: reader.invoke(Op("read", key), 5.0).value for key in acknowledged} == acknowledged


def test_killing_under_load_loses_no_acknowledged_write(cluster: Cluster) -> None:
    writers = kill_under_load(cluster, kills=6, seed=7)
    assert sum(len(writer.acknowledged) for writer in writers) > 50


def test_garbage_leaves_the_cluster_serving(tmp_path: Path) -> None:
    with Cluster(tmp_path, 3) as cluster:
        names = [host.name for host in cluster.hosts]
        pids = [cluster.service.pid(host) for host in cluster.hosts]
        attack(cluster.dial, names, frames=400, seed=20_24)
        for name in names:
            cluster.until_ok(Op("write", "after-garbage", name), lambda name=name: name)
        assert [cluster.service.pid(host) for host in cluster.hosts] == pids


def test_a_paused_node_is_left_behind_and_catches_up(cluster: Cluster) -> None:
    """Half open: its sockets stay, nothing answers. The others go on, close the silent links, and find it again."""
    leader = cluster.leader()
    paused = next(host.name for host in cluster.hosts if host.name != leader)
    cluster.signal(paused, "STOP")
    try:
        for number in range(20):
            cluster.until_ok(Op("write", "while-paused", number), lambda: leader)
        wait_for(lambda: f'"peer":"{paused}"' in last_link_down(cluster, leader), "the silent link closed")
    finally:
        cluster.signal(paused, "CONT")
    wait_for(lambda: applied(cluster, paused) >= applied(cluster, leader), "the paused node to catch up")
    outcome = cluster.until_ok(Op("read", "while-paused"), lambda: paused)
    assert outcome.value == 19


def last_link_down(cluster: Cluster, name: str) -> str:
    lines = cluster.file(name, "node.log").read_text().splitlines()
    return next((line for line in reversed(lines) if '"link down"' in line and "silent for" in line), "")


def applied(cluster: Cluster, name: str) -> int:
    status = cluster.service.status(cluster.host(name), cluster.dial)
    return -1 if status is None else int(status["index"])


def test_a_slow_reader_loses_its_own_connection_only(cluster: Cluster) -> None:
    """It asks for a large value again and again and reads nothing: bounded memory, then the end."""
    leader = cluster.leader()
    writer = cluster.client(leader)
    assert writer.invoke(Op("write", "large", "x" * 100_000), 5.0).type == "ok"
    sock = cluster.dial(leader, 5.0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.sendall(encode(Kind.HELLO, {"cluster": "test", "role": "client", "name": "slow"}))
    sock.settimeout(5.0)
    ended = False
    for number in range(200):
        try:
            sock.sendall(encode(Kind.REQUEST, {"id": number, "level": "stale", "ops": [["r", "large"]]}))
        except OSError:
            ended = True
            break
    wait_for(lambda: ended or has_ended(sock), "the end of the slow reader's connection")
    assert writer.invoke(Op("read", "large"), 5.0).value == "x" * 100_000
    sock.close()


def has_ended(sock: socket.socket) -> bool:
    try:
        sock.sendall(b"T")
    except OSError:
        return True
    return False


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"", "no-hello"),
        (b"TR\x01", "no-hello"),
        (encode(Kind.REQUEST, {"id": 1}), "no-hello"),
        (encode(Kind.HELLO, {"cluster": "other", "role": "client", "name": "x"}), "bad-hello"),
        (encode(Kind.HELLO, {"cluster": "test", "role": "node", "name": "n9"}), "not-admitted"),
        # The reason arrives although the node gets far more than it wants: it reads on before it closes.
        (HEADER.pack(b"TR", 9, 1, 0) + b"x" * 3_000_000, "bad-version"),
    ],
    ids=["silent", "slow-loris", "no-hello", "foreign-cluster", "foreign-node", "still-sending"],
)
def test_strangers_get_a_reason_and_are_closed(cluster: Cluster, sent: bytes, error: str) -> None:
    with cluster.dial("n1", 5.0) as sock:
        sock.sendall(sent)
        sock.settimeout(5.0)
        decoder, received = Decoder(), b""
        while data := sock.recv(4096):
            received += data
        decoder.feed(received)
        found = decoder.next()
        assert found is not None
        assert (found.kind, found.payload["error"]) == (Kind.ERROR, error)
        assert found.payload["hint"]


def test_recorded_inputs_replay_exactly(cluster: Cluster, tmp_path: Path) -> None:
    """A fresh core, given the recorded events of each incarnation, does step by step what the node did."""
    steps = 0
    for host in cluster.hosts:
        cluster.service.stop(host)
        collected = cluster.service.collect(host)
        config = NodeConfig.from_json(
            {k: v for k, v in json.loads(collected["logs/config.json"]).items() if k not in ("seed", "record_inputs")}
        )
        for name, content in collected.items():
            if name.startswith("inputs/"):
                path = tmp_path / "events.log"
                path.write_bytes(content)
                core = Core(config)
                for step in read_recording(path).steps:
                    effects = core.step(step.now_ns, step.events)
                    assert effects_crc(effects) == step.effects_crc, f"{host.name} {name}: step {steps} differs"
                    steps += 1
    assert steps > 300

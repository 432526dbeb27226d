"""The simulator behind the `Driver` protocol of the conformance suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.conformance.suite import MS, NODE, PEERS, ScriptedCore
from tribulation.harness.simulator.cluster.cluster import SimCluster
from tribulation.harness.simulator.cluster.node import Process
from tribulation.harness.simulator.disk.disk import Disk
from tribulation.harness.simulator.network.clients import Answer
from tribulation.harness.simulator.options import SECOND, SimOptions
from tribulation.node.core.interface.events import Datagram, Received
from tribulation.node.core.interface.messages import Message

from .scripted import config


class RecordingDisk(Disk):
    """A disk that writes down what is carried out on it and fails once when asked to."""

    def __init__(self) -> None:
        super().__init__(1, 1)
        self.log: list[tuple[str, str]] = []
        self.failing: tuple[str, str | None] | None = None

    def _carry_out(self, kind: str, file: str) -> None:
        self.log.append((kind, file))
        if self.failing is not None and self.failing[0] == kind and self.failing[1] in (None, file):
            self.failing = None
            raise OSError(f"{kind} of {file}: I/O error")

    def append(self, file: str, data: bytes) -> None:
        self._carry_out("append", file)
        super().append(file, data)

    def write(self, file: str, data: bytes) -> None:
        self._carry_out("write", file)
        super().write(file, data)

    def truncate(self, file: str, size: int) -> None:
        self._carry_out("truncate", file)
        super().truncate(file, size)

    def fsync(self, file: str) -> None:
        self._carry_out("fsync", file)
        super().fsync(file)

    def rename(self, file: str, to: str) -> None:
        self._carry_out("rename", file)
        super().rename(file, to)

    def remove(self, file: str) -> None:
        self._carry_out("remove", file)
        super().remove(file)

    def fsync_dir(self) -> None:
        self._carry_out("fsync_dir", "")
        super().fsync_dir()


class SimPeer:
    def __init__(self, cluster: SimCluster, name: str, core: ScriptedCore) -> None:
        self._cluster, self.name, self._core = cluster, name, core
        self._edges = [(name, NODE), (NODE, name)]
        cluster.start(name)

    def send(self, message: Message) -> None:
        self._cluster.peers.send(self.name, NODE, message)

    def received(self) -> list[Message]:
        return [event.message for event in self._core.of(Received)]

    def reset(self) -> None:
        self._cluster.reset_connection(self.name, NODE)

    def die(self) -> None:
        self._cluster.kill(self.name)

    def stall(self) -> None:
        self._cluster.cut(self._edges)

    def unstall(self) -> None:
        self._cluster.heal(self._edges)


class SimClient:
    def __init__(self, cluster: SimCluster, name: str) -> None:
        self._cluster, self._name = cluster, name
        self._answers: list[Answer] = []

    def send(self, body: Mapping[str, Any]) -> None:
        self._cluster.request(self._name, NODE, body, self._answers.append)

    def replies(self) -> list[Mapping[str, Any]]:
        return [answer.body for answer in self._answers if answer.body is not None]

    def closed(self) -> bool:
        return any(answer.body is None for answer in self._answers)

    def leave(self) -> None:
        self._cluster.disconnect(self._name, NODE)


class SimStation:
    """A peer's host, which does nothing of its own."""

    def __init__(self, cluster: SimCluster, name: str, core: ScriptedCore) -> None:
        self._cluster, self._name, self._core = cluster, name, core
        self.place = cluster.datagrams.place(name)
        cluster.start(name)

    def send(self, data: bytes) -> None:
        self._cluster.datagrams.send(self._name, *self._cluster.datagrams.place(NODE), data)

    def received(self) -> list[bytes]:
        return [event.data for event in self._core.of(Datagram)]


class SimDriver:
    capabilities = frozenset({"half-open"})

    def __init__(self, seed: int) -> None:
        self._cores: dict[str, ScriptedCore] = {}
        names = (NODE, *PEERS)
        # The suite holds drivers to no stale timers in later steps; the soak lets them come.
        options = SimOptions(stale_timer_ppm=0, codec_one_in=1)
        self._cluster = SimCluster(
            {name: config(name, names, membership={"udp_port": 9000 + i}) for i, name in enumerate(names)},
            seed,
            options,
            make_core=lambda c: self._cores[c.node],
        )
        self._node = self._cluster.nodes[NODE]
        self._disk = self._node.disk = RecordingDisk()
        self._peers: dict[str, SimPeer] = {}
        self._clients = 0

    def boot(self, core: ScriptedCore) -> None:
        self._cores[NODE] = core
        self._cluster.start(NODE)
        self.wait(lambda: bool(core.steps), "the first step")

    def crash(self) -> None:
        self._cluster.kill(NODE)

    def exit_reason(self) -> str | None:
        return {Process.HALTED: "halt", Process.DOWN: "crash"}.get(self._node.process)

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        if not self._cluster.run_while(lambda: not condition(), self._cluster.now_ns + 10 * SECOND):
            raise AssertionError(f"10 s passed without {what}")

    def elapse(self, duration_ns: int) -> None:
        self._cluster.run_until(self._cluster.now_ns + duration_ns)

    def peer(self, name: str) -> SimPeer:
        if name not in self._peers:
            self._cores[name] = ScriptedCore(lambda now, event: [])
            self._peers[name] = SimPeer(self._cluster, name, self._cores[name])
        return self._peers[name]

    def client(self) -> SimClient:
        self._clients += 1
        return SimClient(self._cluster, f"c{self._clients}")

    def station(self) -> SimStation:
        name = next(name for name in PEERS if name not in self._cores)
        self._cores[name] = ScriptedCore(lambda now, event: [])
        return SimStation(self._cluster, name, self._cores[name])

    def files(self) -> Mapping[str, bytes]:
        return self._disk.files()

    def stored_incarnation(self) -> int:
        return self._node.incarnation

    def hold_storage(self) -> None:
        self._node.hold_storage(True)

    def release_storage(self) -> None:
        self._node.hold_storage(False)

    def fail_storage(self, kind: str, file: str | None = None) -> None:
        self._disk.failing = (kind, file)

    def storage_log(self) -> list[tuple[str, str]]:
        return list(self._disk.log)

    def traces(self) -> list[Mapping[str, Any]]:
        return list(self._cluster.traces[NODE])

    def close(self) -> None:
        self._cluster.run_until(self._cluster.now_ns + MS)

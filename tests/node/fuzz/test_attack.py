"""A cluster of processes on several Pythons under everything at a time: hostile connections and datagrams, kills, damaged disks. In any order, as the fuzzer likes.

After each step: no process has ended by itself, what the step cost a node in CPU time and memory is bounded, and honest clients are served. In the end all nodes are in one state.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from zlib import crc32

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.node.runtime.one_node import FrameClient, wait_for
from tribulation.node.core.interface.datagrams import MAGIC as DATAGRAM
from tribulation.node.core.interface.datagrams import VERSION as DATAGRAM_VERSION
from tribulation.node.wire import HEADER, MAGIC, MAX_PAYLOAD, VERSION, Kind

from . import frames
from .files import DAMAGES
from .processes import MOST_BYTES, NODES, Processes

NODE = st.sampled_from(NODES)
DATAGRAMS = frames.PAYLOADS | frames.lazily(bytes, st.binary(max_size=1390))
CPU_S = 5.0
"""Of one node in one step: a second for the busiest hostile input, times what other Pythons and machines need."""
OPEN = 30
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Attack(RuleBasedStateMachine):
    """One cluster for all runs: it must survive them one after the other."""

    cluster: Processes
    folder: Path
    session = 0
    seq = 0

    def __init__(self) -> None:
        super().__init__()
        self._open: list[FrameClient] = []
        self._cpu_s = {name: _cpu_s(self.cluster, name) for name in NODES}

    @rule(name=NODE, role=st.sampled_from(["client", "node", None]), sent=frames.CONNECTIONS)
    def connection(self, name: str, role: str | None, sent: list[frames.Lazy]) -> None:
        with self.cluster.client(name, role) as hostile:
            for data in sent:
                hostile.send(data())
            hostile.hear_all()

    @precondition(lambda self: len(self._open) < OPEN)
    @rule(name=NODE, said=st.sampled_from([b"", b"T", HEADER.pack(MAGIC, VERSION, Kind.REQUEST, MAX_PAYLOAD) + b"{"]))
    def connection_that_does_not_go_on(self, name: str, said: bytes) -> None:
        """Open until the end of this run, or until the node has enough of it."""
        client = self.cluster.client(name, "client" if said else None)
        client.send(said)
        self._open.append(client)

    @precondition(lambda self: self._open)
    @rule(byte=st.binary(min_size=1, max_size=1))
    def another_byte(self, byte: bytes) -> None:
        for client in self._open:
            client.send(byte)

    @rule(name=NODE, bodies=st.lists(DATAGRAMS, min_size=1, max_size=20))
    def datagrams(self, name: str, bodies: list[frames.Lazy]) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for body in [body()[:1390] for body in bodies]:
                head = struct.pack(">4sBI", DATAGRAM, DATAGRAM_VERSION, crc32(body))
                with suppress(OSError):
                    sock.sendto(head + body, ("127.0.0.1", self.cluster.ports[name]))

    @rule(name=NODE)
    def kill(self, name: str) -> None:
        self._killed(name, lambda home: None)

    @rule(name=NODE, number=st.integers(0, 99), damage=DAMAGES)
    def damage(self, name: str, number: int, damage: Callable[[bytes], bytes]) -> None:
        """To some file of its data. What refuses to start is given back what it had: a voter does not forget its votes."""

        def spoil(home: Path) -> None:
            files = sorted(path for path in (home / "data").iterdir())
            path = files[number % len(files)]
            path.write_bytes(damage(path.read_bytes()))

        self._killed(name, spoil)

    @rule(name=NODE)
    def honest(self, name: str) -> None:
        self.honest_write(name)

    def honest_write(self, name: str) -> None:
        cls = type(self)
        if not cls.session:
            cls.session = self.cluster.ask(name, open=True)["session"]
        cls.seq += 1
        self.cluster.ask(name, session=cls.session, seq=cls.seq, ops=[["w", "honest", cls.seq]])
        (read,) = self.cluster.ask(NODES[cls.seq % 3], ops=[["r", "honest"]])["results"]
        assert read == cls.seq

    @invariant()
    def goes_on(self) -> None:
        cluster = self.cluster
        assert cluster.ended == [], [cluster.said(name) for name in cluster.ended]
        assert cluster.logged("an error of this node") == []
        for name in NODES:
            used_s, self._cpu_s[name] = _cpu_s(cluster, name) - self._cpu_s[name], _cpu_s(cluster, name)
            assert used_s < CPU_S, f"{name} used {used_s:g} s of CPU time in one step"
            assert cluster.rss_bytes(name) < MOST_BYTES, f"{name} has {cluster.rss_bytes(name)} bytes"

    def teardown(self) -> None:
        for client in self._open:
            client.sock.close()
        for name in NODES:
            self.cluster.ask(name, admin="status")
        self.cluster.agree()

    def _killed(self, name: str, then: Callable[[Path], None]) -> None:
        cluster, home, kept = self.cluster, self.folder / name, self.folder / "kept"
        cluster.kill(name)
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(home / "data", kept)
        then(home)
        if not self._serves(name):
            said = (home / "node.log").read_text()[-4000:] + cluster.said(name)
            assert cluster.code(name) in (3, 4) and "hint: " in said, (cluster.code(name), said)
            shutil.rmtree(home / "data")
            shutil.copytree(kept, home / "data")
            assert self._serves(name), cluster.said(name)
        # The next one to be damaged must not be the only one that has something: that would be more than a cluster promises.
        self.honest_write(name)
        wait_for(lambda: not cluster.ask(name, admin="status")["torn"], f"{name} to be whole again", 60.0)
        cluster.agree()
        self._cpu_s = {each: _cpu_s(cluster, each) for each in NODES}

    def _serves(self, name: str) -> bool:
        ready = self.folder / name / "ready"
        ready.unlink(missing_ok=True)
        process = self.cluster.start_again(name)
        wait_for(lambda: ready.exists() or process.poll() is not None, f"{name} to serve or to end", 60.0)
        return process.poll() is None


def _cpu_s(cluster: Processes, name: str) -> float:
    fields = Path(f"/proc/{cluster.pid(name)}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def test_whatever_comes_the_cluster_goes_on(tmp_path: Path) -> None:
    examples = int(os.environ.get("FUZZ_EXAMPLES", "2"))
    chosen = settings(
        max_examples=examples, stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck)
    )
    with Processes(tmp_path, snapshot_threshold=100) as cluster:

        class OnThis(Attack):
            pass

        OnThis.cluster, OnThis.folder = cluster, tmp_path
        for name in NODES:
            cluster.ask(name, admin="status")
        run_state_machine_as_test(OnThis, settings=chosen)

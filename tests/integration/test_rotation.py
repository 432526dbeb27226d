"""Certificates, their authority and the key of datagrams are replaced while clients go on: no request fails, and afterwards the old ones are worth nothing."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness.systems.cluster import Cluster
from tests.harness.systems.loopback import free_port, wait_for
from tribulation.harness.systems.base import Op, Outcome
from tribulation.harness.systems.reference.authority import Authority, client_context, write_secret
from tribulation.harness.systems.reference.client import ReferenceClient
from tribulation.harness.systems.reference.system import DATAGRAM_KEY, TLS_FILES
from tribulation.node.runtime.security.identity import Identity

DEADLINE_S = 60.0
NAMES = ("n1", "n2", "n3")
PATIENT = {"heartbeat_ns": 200_000_000, "election_min_ns": 4_000_000_000, "election_max_ns": 6_000_000_000}
"""A busy machine must not bring an election into it."""


class Load:
    """Writes through every node: on one connection that stays, and each time on a new one with the `context` of the moment."""

    def __init__(self, cluster: Cluster, context: ssl.SSLContext) -> None:
        self.context = context
        self.outcomes: list[Outcome] = []
        self.errors: list[str] = []
        self._cluster = cluster
        self._ended = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        work = [threading.Thread(target=self._go_on, args=(name, stays)) for name in NAMES for stays in (True, False)]
        for thread in work:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in work:
                thread.join()

    def _go_on(self, name: str, stays: bool) -> None:
        client = ReferenceClient("test", tls=self.context)
        try:
            client.open(name, self._cluster.dial, 20.0)
            while not self._ended.wait(0.02):
                if not stays:
                    client.close()
                    client = ReferenceClient("test", tls=self.context)
                    client.open(name, self._cluster.dial, 20.0)
                self.outcomes.append(client.invoke(Op("write", name, len(self.outcomes)), 20.0))
        except OSError as error:
            self.errors.append(f"{name}: {error}")
        finally:
            client.close()


def refusals(cluster: Cluster) -> list[str]:
    logs = [cluster.file(name, "node.log").read_text() for name in NAMES]
    return [line for log in logs for line in log.splitlines() if '"refused' in line]


@pytest.mark.full
def test_everything_is_replaced_in_steps_and_no_request_fails(tmp_path: Path) -> None:
    new = Authority.new("test")
    port = free_port()
    members = {"udp_port": port, "broadcast": False, "seeds": [[f"127.0.0.{i}", port] for i in (1, 2, 3)]}
    with Cluster(tmp_path, 3, tls=True, timing=PATIENT, membership=members) as cluster:
        old = cluster.service.authority
        assert old is not None
        both = old.certificate + new.certificate
        ours = Identity("test", "client", "harness")
        former = client_context(both, old.issue(ours))
        load = Load(cluster, former)

        def put(name: str, content: bytes, file: str) -> None:
            write_secret(cluster.file(name, file), content)

        def settled(what: str, times: int, by_signal: bool) -> None:
            for name in NAMES:
                if by_signal:
                    cluster.signal(name, "HUP")
                log = cluster.file(name, "node.log")
                wait_for(lambda log=log: log.read_text().count(f"new {what} in use") >= times, what, DEADLINE_S)

        with load.running():
            wait_for(lambda: len(load.outcomes) > 50, "some load", DEADLINE_S)
            for name in NAMES:  # 1: both authorities are trusted; both keys are accepted.
                put(name, both, TLS_FILES["ca"])
                put(name, old.datagram_key + new.datagram_key, DATAGRAM_KEY)
            settled("certificate", 1, by_signal=False)
            settled("datagram key", 1, by_signal=False)
            for name in NAMES:  # 2: certificates of the new authority; the new key signs.
                issued = new.node(name)
                put(name, issued.key, TLS_FILES["key"])
                put(name, issued.certificate, TLS_FILES["certificate"])
                put(name, new.datagram_key + old.datagram_key, DATAGRAM_KEY)
            settled("certificate", 2, by_signal=False)
            settled("datagram key", 2, by_signal=False)
            load.context = client_context(both, new.issue(ours))
            before = len(load.outcomes)
            wait_for(lambda: len(load.outcomes) > before + 30, "clients with new certificates", DEADLINE_S)
            for name in NAMES:  # 3: the old authority and the old key are worth nothing any more.
                put(name, new.certificate, TLS_FILES["ca"])
                put(name, new.datagram_key, DATAGRAM_KEY)
            settled("certificate", 3, by_signal=True)
            before = len(load.outcomes)
            wait_for(lambda: len(load.outcomes) > before + 50, "load after it all", DEADLINE_S)
        assert load.errors == []
        assert [outcome for outcome in load.outcomes if outcome.type != "ok"] == []
        assert refusals(cluster) == []
        with pytest.raises(OSError):
            ReferenceClient("test", tls=former).open("n1", cluster.dial, 10.0)
        # A node that starts with the new ones gets on with those that took them while they ran.
        cluster.service.client_tls = load.context
        again = next(name for name in NAMES if name != cluster.leader())
        cluster.kill(again)
        cluster.restart(again)
        assert cluster.until_ok(Op("read", "n1"), lambda: again, DEADLINE_S).type == "ok"

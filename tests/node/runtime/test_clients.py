"""Which client goes when all places of clients are taken."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.node.runtime.network.clients import Clients
from tribulation.node.runtime.options import Limits

from .one_node import FrameClient, OneNode

SECOND = 1_000_000_000
LIMITS = Limits(clients=6)


@dataclass(slots=True, eq=False)
class Stand:
    clients: Clients
    name: str
    host: str
    active_ns: int = 0
    waiting: bool = False
    gone: bool = False

    def close(self, reason: str) -> None:
        self.gone = True
        self.clients.left(self)

    def abandon(self, reason: str) -> None:
        self.close(reason)

    def reply(self, payload: bytes) -> None: ...


def full(clients: Clients, host: str = "a") -> list[Stand]:
    stands = [Stand(clients, f"{host}{number}", host, active_ns=number) for number in range(LIMITS.clients)]
    assert [clients.admit(stand, 10) for stand in stands] == [None] * LIMITS.clients
    return stands


def test_idle_clients_of_one_address_lock_nobody_out() -> None:
    clients = Clients(LIMITS)
    stands = full(clients)
    stands[0].waiting = True
    newcomers = [Stand(clients, f"b{number}", "b") for number in range(4)]
    answers = [clients.admit(stand, 20) for stand in newcomers]
    assert answers == [None, None, None, "6 clients are connected already"], "each address comes to hold its half"
    assert [stand.gone for stand in stands] == [False, True, True, True, False, False], (
        "a client that waits for an answer stays"
    )
    assert clients.evicted == 3 and len(clients) == 6


def test_one_address_pushes_out_its_own_when_they_were_idle_for_long() -> None:
    clients = Clients(LIMITS)
    stands = full(clients)
    another = Stand(clients, "a9", "a")
    assert clients.admit(another, LIMITS.client_idle_ns - 1) is not None
    assert clients.admit(another, LIMITS.client_idle_ns) is None
    assert [stand.gone for stand in stands] == [True, False, False, False, False, False]


def test_an_address_of_ipv6_is_its_network() -> None:
    clients = Clients(LIMITS)
    for number in range(LIMITS.clients):
        assert clients.admit(Stand(clients, f"c{number}", f"2001:db8::{number:x}"), 10) is None
    assert clients.admit(Stand(clients, "other", "2001:db8::ffff"), 20) is not None
    assert clients.admit(Stand(clients, "far", "2001:db8:0:1::1"), 20) is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans()), max_size=60))
def test_the_bound_holds_and_no_address_takes_from_one_with_less(steps: list[tuple[str, bool, bool]]) -> None:
    clients = Clients(LIMITS)
    stands: list[Stand] = []
    for number, (host, waiting, leaves) in enumerate(steps):
        now_ns = number * SECOND
        here = [stand for stand in stands if not stand.gone]
        if leaves and here:
            here[0].close("its own wish")
            continue
        newcomer = Stand(clients, str(number), host, now_ns, waiting)
        held = {who: sum(stand.host == who for stand in here) for who in "abc"}
        refused = clients.admit(newcomer, now_ns)
        stands += [] if refused else [newcomer]
        lost = [stand for stand in here if stand.gone]
        assert len(clients) <= LIMITS.clients and len(lost) <= 1
        assert all(held[stand.host] == max(held.values()) for stand in lost)
        assert not refused or len(here) == LIMITS.clients
        if refused:
            assert held[host] == max(held.values()) or held[host] + 1 > max(held.values()) - 1


def test_a_crowd_of_idle_connections_locks_no_other_address_out(tmp_path: Path) -> None:
    """Over sockets: all places are taken from one address of loopback, and a client comes from another."""
    with OneNode(tmp_path, limits=Limits(clients=20)) as node:
        crowd = [node.client() for _ in range(20)]
        try:
            assert [client.ask({"id": 1, "admin": "status"})["status"] for client in crowd] == ["ok"] * 20
            with FrameClient(node.address, source="127.0.0.2") as other:
                assert other.ask({"id": 2, "admin": "status"})["status"] == "ok"
            with node.client() as one_more:
                # The other one has left, so there is room for one; not for two.
                assert one_more.ask({"id": 3, "admin": "status"})["status"] == "ok"
                with node.client() as too_many:
                    assert too_many.ask({"id": 4, "admin": "status"})["error"] == "not-admitted"
            assert crowd[0].next() is None, "the idlest made room"
        finally:
            for client in crowd:
                client.sock.close()


@pytest.mark.parametrize("limit", [1, 2])
def test_the_smallest_bounds_work(limit: int) -> None:
    clients = Clients(Limits(clients=limit))
    for number in range(5):
        clients.admit(Stand(clients, str(number), f"h{number}"), number)
    assert len(clients) == limit

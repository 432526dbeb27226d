"""Discovery: beacons in, answers out; and ten nodes that find each other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.node.config.node import MS
from tribulation.node.core.discovery.beacon import make_body, read_body
from tribulation.node.core.discovery.discovery import REPLIES, Discovery
from tribulation.node.core.discovery.table import KNOWN_LIMIT, Place, Table
from tribulation.node.core.interface.datagrams import LIMIT, Note, decode_datagram, encode_datagram
from tribulation.node.core.interface.effects import Broadcast, SendDatagram, Trace
from tribulation.node.core.interface.events import Datagram
from tribulation.node.core.interface.outbox import Outbox
from tribulation.node.core.interface.rng import Chance
from tribulation.node.core.interface.signals import Found

from .net import PORT, Net, host_of, make_config

S = 1000 * MS


def beacon(host: str = "10.0.0.2", have: Any = (), others: Any = ()) -> dict[str, Any]:
    return {"at": [host, 10000, PORT, "hybrid"], "have": list(have), "others": list(others)}


class Alone:
    """One node's discovery, reported what arrives."""

    def __init__(self, **membership: Any) -> None:
        self.out = Outbox()
        self.now = 1000 * MS
        self.machine = Discovery(make_config("n1", **membership), self.out, 1, Chance(1, "n1", 1))
        self.machine.start(self.now)
        self.first = self.out.take()

    def hear(
        self, sender: str, body: Any, incarnation: int = 1, tag: str = "discovery.beacon"
    ) -> list[tuple[str, str]]:
        """What it sends in consequence: to which host, with which tag."""
        note = Note(sender, incarnation, tag, body)
        self.machine.on_datagram(self.now, Datagram("10.0.9.9", PORT, b""), note)
        self.machine.check()
        self.effects = self.out.take()
        sent = [e for e in self.effects if isinstance(e, SendDatagram)]
        return [(e.host, decode_datagram("test", e.data).tag) for e in sent]

    def found(self) -> list[Any]:
        signals = list(self.out.signals)
        self.out.signals.clear()
        return signals


def test_a_node_that_starts_speaks_to_all_near_and_to_its_seeds() -> None:
    first = Alone(seeds=[["10.1.0.1", 9999]]).first
    assert [(e.port, decode_datagram("test", e.data).tag) for e in first if isinstance(e, Broadcast)] == [
        (PORT, "discovery.beacon")
    ]
    assert [(e.host, e.port) for e in first if isinstance(e, SendDatagram)] == [("10.1.0.1", 9999)]
    assert not [e for e in Alone(broadcast=False).first if isinstance(e, Broadcast)]


def test_a_stranger_is_found_and_answered_at_once_and_then_no_more() -> None:
    n1 = Alone()
    assert n1.hear("n2", beacon()) == [("10.0.0.2", "discovery.answer")]
    assert n1.found() == [Found("n2", "10.0.0.2", 10000, PORT, "hybrid", 1)]
    traces = [dict(e.fields) for e in n1.effects if isinstance(e, Trace)]
    assert traces == [{"peer": "n2", "host": "10.0.0.2", "port": 10000, "peer_incarnation": 1}]
    n1.now += S
    mine = make_mark()
    assert n1.hear("n2", beacon(have=[mine])) == [] and n1.found() == []
    assert n1.machine.status() == {"discovered": 1, "beacons_ignored": 0}


def make_mark() -> int:
    from tribulation.node.core.discovery.table import mark

    return mark("n1", 1)


def test_who_does_not_know_this_node_is_answered_again_but_not_too_often() -> None:
    """The answer was lost: the next beacon still does not have this node."""
    n1 = Alone()
    assert n1.hear("n2", beacon()) == [("10.0.0.2", "discovery.answer")]
    assert n1.hear("n2", beacon()) == []
    n1.now += 20 * MS
    assert n1.hear("n2", beacon()) == [("10.0.0.2", "discovery.answer")]


def test_an_answer_is_not_answered() -> None:
    assert Alone().hear("n2", beacon(), tag="discovery.answer") == []


def test_a_new_incarnation_or_address_is_news_and_an_old_incarnation_is_not() -> None:
    n1 = Alone()
    n1.hear("n2", beacon(), incarnation=2)
    n1.hear("n2", beacon(host="10.0.0.22"), incarnation=2)
    n1.hear("n2", beacon(), incarnation=3)
    assert [(f.host, f.incarnation) for f in n1.found()] == [("10.0.0.2", 2), ("10.0.0.22", 2), ("10.0.0.2", 3)]
    n1.hear("n2", beacon(), incarnation=2)
    assert n1.found() == []
    n1.now += 4 * S
    n1.hear("n2", beacon(), incarnation=1)
    assert [f.incarnation for f in n1.found()] == [1], "its disk was replaced: it counts from 1 again"


@pytest.mark.parametrize("host", [None, "", "0.0.0.0"])
def test_a_host_that_says_nothing_is_where_the_datagram_came_from(host: Any) -> None:
    n1 = Alone()
    assert n1.hear("n2", beacon(host=host)) == [("10.0.9.9", "discovery.answer")]
    assert n1.found()[0].host == "10.0.9.9"


def test_whom_it_is_reported_it_makes_itself_known_to() -> None:
    n1 = Alone()
    row = ["n3", "10.0.0.3", 10000, PORT, "worker", 4, 700]
    sent = n1.hear("n2", beacon(others=[row]))
    assert sent == [("10.0.0.2", "discovery.answer"), ("10.0.0.3", "discovery.beacon")]
    assert [(f.name, f.incarnation) for f in n1.found()] == [("n2", 1), ("n3", 4)]


def test_word_of_a_node_that_fell_silent_dies_out() -> None:
    n1 = Alone()
    n1.hear("n2", beacon(others=[["n3", "10.0.0.3", 10000, PORT, "worker", 4, 31_000]]))
    assert [f.name for f in n1.found()] == ["n2"]
    n1.now += 31 * S
    n1.machine.on_timer(n1.now, "discovery/beacon")
    assert n1.machine.status()["discovered"] == 0


GARBAGE = [
    None,
    7,
    [],
    {},
    {"at": [], "have": [], "others": []},
    beacon(host="x" * 300),
    beacon(have=["a"]),
    beacon(have=[0] * 100),
    beacon(others=[[]]),
    beacon(others=[["n3", "10.0.0.3", 10000, PORT, "king", 4, 700]]),
    beacon(others=[["n3", "10.0.0.3", 10000, PORT, "hybrid", True, 700]]),
    {"at": ["10.0.0.2", "10000", PORT, "hybrid"], "have": [], "others": []},
    {"at": ["10.0.0.2", 10000, PORT, ["hybrid"]], "have": [], "others": []},
]


@pytest.mark.parametrize("body", GARBAGE)
def test_garbage_is_counted_and_nothing_else(body: Any) -> None:
    n1 = Alone()
    assert n1.hear("n2", body) == [] and n1.found() == []
    assert n1.machine.status() == {"discovered": 0, "beacons_ignored": 1}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.sampled_from(["at", "have", "others"]), inner),
    max_leaves=12,
)


@given(JSON)
def test_no_body_is_worse_than_garbage(body: Any) -> None:
    Alone().hear("n2", body)


def test_tables_and_answers_have_bounds() -> None:
    """A thousand strangers: 64 are noticed, and at most so many answered at once."""
    n1 = Alone()
    sent = [answer for i in range(1000) for answer in n1.hear(f"x{i}", beacon(host=f"10.1.{i // 250}.{i % 250}"))]
    assert n1.machine.status()["discovered"] == KNOWN_LIMIT
    assert len(sent) == REPLIES
    n1.now += 100 * MS
    assert len(n1.hear("y", beacon(host="10.2.0.1"))) == 1


@given(st.integers(0, 64), st.text(min_size=1, max_size=64), st.text(min_size=1, max_size=64))
def test_a_beacon_always_fits_a_datagram(count: int, cluster: str, name: str) -> None:
    table = Table(3 * S, 30 * S)
    for i in range(count):
        table.hear(S, f"{i}{name}"[:64], Place("h" * (i * 4), 65535, 65535, "coordinator", 1 << 40), S)
    own = Place("10.0.0.1", 10000, PORT, "coordinator", 1 << 40)
    room = LIMIT - len(encode_datagram(cluster, Note(name, 1 << 40, "discovery.beacon", "")))
    body = make_body(S, room, own, table)
    assert len(encode_datagram(cluster, Note(name, 1 << 40, "discovery.beacon", body))) <= LIMIT
    if count and all(place.host for place in table.places.values()):
        assert read_body(body, "10.0.0.1", 1).place.host == "10.0.0.1"


def cluster(size: int, seed: int, loss: float = 0.0, **options: Any) -> Net:
    net = Net(seed, loss)
    for i in range(size):
        net.add(Discovery, make_config(f"n{i + 1}", **options))
    return net


def complete_ns(net: Net, name: str, size: int) -> int | None:
    """When it had found everybody."""
    seen: dict[str, int] = {}
    for at_ns, event, data in net.nodes[name].traces:
        if event == "discovered":
            seen.setdefault(data["peer"], at_ns)
    return max(seen.values()) if len(seen) == size - 1 else None


@pytest.mark.parametrize(("loss", "bound_ns"), [(0.0, 5 * MS), (0.2, 400 * MS)])
@pytest.mark.parametrize("seed", range(5))
def test_the_tenth_node_finds_all_within_a_round_trip(seed: int, loss: float, bound_ns: int) -> None:
    """Latency is at most 2 ms: a beacon and its answers take less than 5. With one datagram in five lost it begins again a few times."""
    net = cluster(9, seed, loss)
    net.run(5 * S)
    began_ns = net.now
    net.add(Discovery, make_config("n10"))
    net.run(S)
    done_ns = complete_ns(net, "n10", 10)
    assert done_ns is not None and done_ns - began_ns < bound_ns


@pytest.mark.parametrize("seed", range(3))
def test_one_seed_is_enough_across_subnets(seed: int) -> None:
    """No broadcast: all know the address of n1 only, and one datagram in ten is lost."""
    net = cluster(16, seed, 0.1, broadcast=False, seeds=[[host_of("n1"), PORT]])
    net.run(3 * S)
    assert all(complete_ns(net, name, 16) is not None for name in net.nodes)


def test_without_broadcast_nobody_is_found_by_a_node_that_ignores_its_seeds() -> None:
    net = Net(1)
    for name in ("n1", "n2", "n3"):
        net.add(Discovery, make_config(name, ("seeds-ignored",), broadcast=False, seeds=[[host_of("n1"), PORT]]))
    net.run(3 * S)
    assert all(not node.traced("discovered") for node in net.nodes.values())


def test_32_nodes_that_start_together_find_each_other_and_calm_down() -> None:
    net = cluster(32, 1)
    net.run(500 * MS)
    assert all(complete_ns(net, name, 32) is not None for name in net.nodes)
    for node in net.nodes.values():
        node.sent.clear()
    net.run(10 * S)
    assert all(len(node.sent) <= 2 * 14 for node in net.nodes.values()), "a broadcast and one datagram each second"

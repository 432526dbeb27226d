"""Which host shapes a link and by what, from what the hosts said that they can do."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from tribulation.harness.errors import FaultError
from tribulation.harness.nemesis.agent_client.desired_state import wanted_by_host
from tribulation.harness.nemesis.faults.fault import CLIENTS, Intent, Resolved
from tribulation.harness.nemesis.kinds.links import link_ways
from tribulation.harness.nemesis.topology.resolve import in_force

MS = 10**6
NETEM = {"netem": True, "queue": "nft", "copies": True, "resets": True}
QUEUE = {"netem": False, "queue": "iptables", "copies": True, "resets": True}
NOTHING = {"netem": False, "queue": None, "copies": False, "resets": False}


@dataclass(eq=False)
class Vertices:
    """As much of a cluster as a plan looks at: addresses, and whose hosts may be changed. What each can do is known already."""

    able: dict[str, dict[str, Any]]
    agents: dict[str, Any] = field(init=False)
    firewalled: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        names = [*self.able, CLIENTS]
        self.agents = {name: SimpleNamespace(addresses=[f"10.0.0.{at}", "10.9.9.9"]) for at, name in enumerate(names)}
        self.firewalled = {name: self.agents[name] for name in self.able}
        link_ways._known[self] = self.able  # type: ignore[index]


def fault(kind: str, *edges: tuple[str, str], **what: Any) -> Resolved:
    return Resolved(Intent(f"{kind}{what}", kind, {}, 0, None, kind), {"edges": [list(edge) for edge in edges], **what})


def wanted(vertices: Any, *faults: Resolved) -> dict[str, Any]:
    force = in_force(faults)
    wants = [want for one in faults for want in link_ways.wants(vertices, [tuple(e) for e in one.what["edges"]], force)]
    return {host: parts.get("links", {}) for host, parts in wanted_by_host(wants, vertices.firewalled).items()}


def test_the_sender_shapes_with_netem_and_the_receiver_where_it_has_none() -> None:
    vertices = Vertices({"n1": NETEM, "n2": QUEUE})
    assert wanted(vertices, fault("link", ("n1", "n2"), ("n2", "n1"), loss_ppm=5)) == {
        "n1": {
            "netem": {"n2": {"loss_ppm": 5, "addresses": ["10.0.0.1"]}},
            "queue": {"n2": {"loss_ppm": 5, "addresses": ["10.0.0.1"]}},
            "how": {"queue": "nft"},
        },
        "n2": {},
    }


def test_copies_are_the_senders_and_what_netem_cannot_do_is_the_receivers() -> None:
    vertices = Vertices({"n1": NETEM, "n2": QUEUE})
    late = fault("link", ("n1", "n2"), duplicate_ppm=7, reorder_ppm=8, delay_ns=MS)
    clog = fault("clog", ("n1", "n2"))
    assert wanted(vertices, late) == {
        "n1": {"copies": {"n2": {"duplicate_ppm": 7, "addresses": ["10.0.0.1"]}}},
        "n2": {
            "queue": {"n1": {"reorder_ppm": 8, "delay_ns": MS, "addresses": ["10.0.0.0"]}},
            "how": {"queue": "iptables"},
        },
    }
    both = wanted(vertices, fault("link", ("n1", "n2"), loss_ppm=5), clog)
    assert both["n1"] == {}, "one back-end for all that is on a link"
    assert both["n2"]["queue"] == {"n1": {"loss_ppm": 5, "clogged": True, "addresses": ["10.0.0.0"]}}


def test_what_nobody_can_do_is_refused_with_every_reason_and_a_hint() -> None:
    vertices: Any = Vertices({"n1": NETEM, "n2": NOTHING})
    shapes = {("n2", "n1"): {"duplicate_ppm": 5}, ("n1", CLIENTS): {"loss_ppm": 5}, ("n2", CLIENTS): {"loss_ppm": 5}}
    with pytest.raises(FaultError) as refused:
        link_ways.require_ways(vertices, shapes, in_force([]), "link x")
    assert refused.value.message == (
        "link x: n2 cannot send packets to n1 in duplicate (nft `dup`); clients cannot queue packets from n2, and n2 has no netem"
    )
    assert refused.value.hint is not None and "apt install iptables" in refused.value.hint
    reported = link_ways.require_ways(vertices, {("n1", "n2"): {"loss_ppm": 5}}, in_force([]), "link y")
    assert reported == {"backend": ["netem"]}

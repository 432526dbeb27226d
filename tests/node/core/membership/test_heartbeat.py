"""The plain heartbeat on a virtual network, and what the machine makes of either detector's beliefs."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.node.config.node import MS
from tribulation.node.core.detector.detector import Detector
from tribulation.node.core.interface.datagrams import Note
from tribulation.node.core.interface.events import Datagram
from tribulation.node.core.interface.signals import Detected

from .net import PORT, Net, make_config, record

S = 1000 * MS


def cluster(size: int, **options: Any) -> Net:
    net = Net(1)
    names = [f"n{i + 1}" for i in range(size)]
    for name in names:
        net.add(Detector, make_config(name, detector="heartbeat", **options))
    net.view({name: record(name) for name in names})
    return net


def test_silent_for_15_s_is_suspect_and_for_30_s_failed() -> None:
    """The published figures: a heartbeat each 5 s, failure after 30 s of silence."""
    net = cluster(3)
    net.run(20 * S)
    net.kill("n2")
    killed_ns = net.now
    net.run(40 * S)
    for name in ("n1", "n3"):
        node = net.nodes[name]
        (suspected,), (failed,) = node.traced("suspect", target="n2"), node.traced("failed", target="n2")
        assert 10 * S <= suspected - killed_ns <= 15 * S + 2 * MS
        assert failed - suspected == 15 * S
        assert [s for s in node.signals if isinstance(s, Detected) and s.name == "n2"] == [
            Detected("n2", 1, "alive"),
            Detected("n2", 1, "suspect"),
            Detected("n2", 1, "failed"),
        ]
        assert node.traced("suspect", target="n1") + node.traced("suspect", target="n3") == []


def test_who_is_heard_again_is_trusted_again() -> None:
    net = cluster(3)
    net.run(20 * S)
    net.cut = lambda a, b: "n2" in (a, b)
    net.run(40 * S)
    assert net.nodes["n1"].traced("failed", target="n2") and net.nodes["n2"].traced("failed", target="n1")
    net.cut = lambda a, b: False
    net.run(6 * S)
    assert all(len(n.traced("trust")) == len(n.traced("suspect")) > 0 for n in net.nodes.values())


def test_a_node_that_did_not_run_blames_nobody() -> None:
    net = cluster(3)
    net.run(20 * S)
    net.sleep("n1", 60 * S)
    net.run(70 * S)
    assert net.nodes["n1"].traced("suspect") == []
    assert net.nodes["n2"].traced("failed", target="n1") and net.nodes["n2"].traced("trust", target="n1")


def test_its_traffic_grows_with_the_cluster() -> None:
    for size in (4, 16):
        net = cluster(size)
        net.run(50 * S)
        assert all(9 * (size - 1) <= len(node.sent) <= 11 * (size - 1) for node in net.nodes.values())


@pytest.mark.parametrize("detector", ["swim", "heartbeat"])
def test_a_new_life_is_trusted_anew_and_one_that_the_log_failed_is_suspect(detector: str) -> None:
    net = Net(1)
    for name in ("n1", "n2", "n3"):
        net.add(Detector, make_config(name, detector=detector, heartbeat_ns=S, silence_ns=4 * S))
    records = {name: record(name) for name in ("n1", "n2", "n3")}
    net.view(records)
    net.run(10 * S)
    n1 = net.nodes["n1"]
    net.view({**records, "n2": record("n2", "FAILED")}, "n1")
    assert len(n1.traced("suspect", target="n2")) == len(n1.traced("failed", target="n2")) == 1
    net.view({**records, "n2": record("n2", "JOINING", 2)}, "n1")
    assert n1.traced("trust") == []
    net.view({**records, "n2": record("n2", "ACTIVE", 2)}, "n1")
    assert len(n1.traced("trust", target="n2", target_incarnation=2)) == 1


@pytest.mark.parametrize("detector", ["swim", "heartbeat"])
def test_who_is_no_member_watches_nobody_and_is_watched_by_nobody(detector: str) -> None:
    net = Net(1)
    for name in ("n1", "n2", "n3"):
        net.add(Detector, make_config(name, detector=detector))
    net.view({"n1": record("n1"), "n2": record("n2"), "n3": record("n3", "FAILED")})
    net.run(30 * S)
    assert net.nodes["n3"].sent == [] and net.nodes["n1"].machine.status()["watched"] == 2
    assert not any(node.traced("suspect") for node in net.nodes.values())


GARBAGE = [
    ("detector.ping", None),
    ("detector.ping", []),
    ("detector.ping", [1, "2", []]),
    ("detector.ping", [1, 2, [["alive"]]]),
    ("detector.ping", [1, 2, [["alive", "n2", -1, "n3"]]]),
    ("detector.ping", [1, 2, [["asleep", "n2", 1, "n3"]]]),
    ("detector.ask", [1, 2, {}, []]),
    ("detector.ask", [1, 2, []]),
    ("detector.beat", {}),
    ("detector.", [1, 2, []]),
]


@pytest.mark.parametrize("detector", ["swim", "heartbeat"])
@pytest.mark.parametrize(("tag", "body"), GARBAGE)
def test_garbage_is_counted(detector: str, tag: str, body: Any) -> None:
    net = Net(1)
    n1 = net.add(Detector, make_config("n1", detector=detector))
    net.view({"n1": record("n1"), "n2": record("n2")})
    n1.machine.on_datagram(net.now, Datagram("10.0.0.2", PORT, b""), Note("n2", 1, tag, body))
    n1.machine.check()
    assert n1.machine.ignored == 1

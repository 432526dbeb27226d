"""Round trips and bandwidths as one node measures them, and what the leader makes of everybody's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tribulation.node.config.node import MS, NodeConfig
from tribulation.node.core.cluster.prober import PINGS, TIMER, Prober
from tribulation.node.core.cluster.smoothing import BURST_MAX, BURST_MIN, FASTEST_BPS, Way
from tribulation.node.core.interface.cluster_messages import ProbePing, ProbePong, ProbeReport
from tribulation.node.core.interface.effects import Send, SetTimer
from tribulation.node.core.interface.events import Connected, Disconnected
from tribulation.node.core.interface.outbox import Outbox
from tribulation.node.core.interface.rng import Chance
from tribulation.node.core.interface.signals import Changed, Distances, LeaderChanged, Measured

S = 1000 * MS


class Stage:
    """n1 alone. `link` says after how many ns a message of so many bytes to a peer is answered; None: never."""

    def __init__(self, members: int = 2, link: Callable[[str, int], int | None] = lambda peer, length: None) -> None:
        data = {"node": "n1", "cluster": "c", "peers": {"n1": ["127.0.0.1", 1]}, "membership": {}, "agents": {}}
        self.out, self.link, self.now = Outbox(), link, 0
        self.prober = Prober(NodeConfig.from_json(data), self.out, 1, Chance(1, "n1", 1))
        self.sent: list[tuple[str, Any]] = []
        self.signals: list[Any] = []
        self.answers: list[tuple[int, str, int]] = []
        self.timer_ns = 0
        self.prober.start(0)
        self.members = {f"n{i + 1}": {"state": "ACTIVE"} for i in range(members)}
        self.hear(Changed("members", tuple(self.members), self.members))

    def hear(self, signal: Any) -> None:
        self.prober.signals[type(signal)](self.now, signal)
        self.settle()

    def settle(self) -> None:
        self.prober.check()
        self.signals += self.out.signals
        self.out.signals.clear()
        for effect in self.out.take():
            if isinstance(effect, SetTimer):
                assert effect.key == TIMER
                self.timer_ns = effect.at_ns
            elif isinstance(effect, Send):
                self.sent.append((effect.peer, effect.message))
                if isinstance(effect.message, ProbePing):
                    after_ns = self.link(effect.peer, len(effect.message.padding))
                    if after_ns is not None:
                        self.answers.append((self.now + after_ns, effect.peer, effect.message.number))

    def run(self, seconds: int) -> None:
        end = self.now + seconds * S
        while True:
            self.answers.sort()
            answer_ns = self.answers[0][0] if self.answers else end + 1
            self.now = min(answer_ns, self.timer_ns)
            if self.now > end:
                self.now = end
                return
            if answer_ns <= self.timer_ns:
                _, peer, number = self.answers.pop(0)
                self.prober.on_message(self.now, peer, ProbePong(number))
            else:
                self.prober.on_timer(self.now, TIMER)
            self.settle()

    def pings(self, *, long: bool) -> list[str]:
        return [p for p, m in self.sent if isinstance(m, ProbePing) and (len(m.padding) > 0) == long]

    def last(self, kind: type[Any]) -> Any:
        return next(signal for signal in reversed(self.signals) if isinstance(signal, kind))


def line(rtt_ms: int, bytes_per_s: int) -> Callable[[str, int], int]:
    return lambda peer, length: rtt_ms * MS + length * S // bytes_per_s


def test_a_member_is_pinged_at_once_and_its_round_trip_is_known_after_one_answer() -> None:
    stage = Stage(link=line(5, 10**9))
    stage.run(2)
    assert 5 * MS <= stage.prober.status()["rtt_ns"]["n2"] < 6 * MS
    assert stage.last(Measured).rtt_ns == stage.prober.status()["rtt_ns"]


def test_a_first_measurement_is_reported_at_once_and_not_a_round_later() -> None:
    stage = Stage(link=line(3, 10_000_000))
    answered_ns: list[int] = []
    while not any(isinstance(signal, Measured) for signal in stage.signals):
        stage.answers.sort()
        stage.now, peer, number = stage.answers.pop(0)
        stage.prober.on_message(stage.now, peer, ProbePong(number))
        stage.settle()
        answered_ns.append(stage.now)
    assert answered_ns and answered_ns[-1] < 100 * MS


def test_the_bandwidth_comes_near_that_of_the_link() -> None:
    for bytes_per_s in (125_000, 1_250_000, 12_500_000, 125_000_000):
        stage = Stage(link=line(5, bytes_per_s))
        stage.run(30)
        assert 0.9 * bytes_per_s <= stage.prober.status()["bandwidth_bps"]["n2"] <= 1.1 * bytes_per_s


def test_bursts_go_to_one_member_at_a_time_and_to_all_in_turn() -> None:
    stage = Stage(members=4, link=line(5, 10**7))
    stage.run(1)
    stage.sent.clear()
    stage.run(9)
    assert len(stage.pings(long=True)) <= 9
    assert [stage.pings(long=True).count(name) for name in ("n2", "n3", "n4")] == [3, 3, 3]


def test_a_burst_that_is_not_answered_holds_the_others_back_and_is_given_up() -> None:
    stage = Stage(members=3, link=lambda peer, length: None if length else 5 * MS)
    stage.run(20)
    assert len(stage.pings(long=True)) <= 5
    assert stage.prober.status()["bandwidth_bps"] == {}


def test_the_traffic_does_not_grow_with_the_cluster() -> None:
    stage = Stage(members=32, link=line(1, 10**9))
    stage.run(1)
    stage.sent.clear()
    stage.run(8)
    pings = stage.pings(long=False)
    assert len(pings) == 8 * PINGS and {pings.count(name) for name in pings} <= {2, 3}
    assert len(dict.fromkeys(pings)) == 31


def test_an_answer_that_came_through_a_partition_is_no_round_trip() -> None:
    delay = [5 * MS]
    stage = Stage(link=lambda peer, length: delay[0])
    stage.run(3)
    delay[0] = 30 * S
    stage.run(6)
    delay[0] = 5 * MS
    stage.run(60)
    assert stage.prober.status()["rtt_ns"]["n2"] < 6 * MS


def test_a_new_connection_is_measured_at_once() -> None:
    stage = Stage()
    stage.prober.on_connection(0, Disconnected("n2"))
    stage.sent.clear()
    stage.prober.on_connection(0, Connected("n2"))
    stage.settle()
    assert stage.pings(long=False) == ["n2"]


def test_a_member_that_failed_or_is_gone_is_not_measured_and_forgotten() -> None:
    stage = Stage(members=3, link=line(5, 10**9))
    stage.run(5)
    stage.members["n2"] = {"state": "FAILED"}
    del stage.members["n3"]
    stage.hear(Changed("members", ("n2", "n3"), stage.members))
    stage.sent.clear()
    stage.run(5)
    assert stage.sent == [] and stage.prober.status() == {"rtt_ns": {}, "bandwidth_bps": {}}


def test_a_ping_is_answered_whoever_sends_it() -> None:
    stage = Stage()
    stage.prober.on_message(0, "n9", ProbePing(7, "=" * 100))
    stage.settle()
    assert ("n9", ProbePong(7)) in stage.sent


def test_a_follower_reports_to_the_leader() -> None:
    stage = Stage(members=3, link=line(5, 10**9))
    stage.hear(LeaderChanged("n2", 1, False))
    stage.run(10)
    reports = [message for peer, message in stage.sent if peer == "n2" and isinstance(message, ProbeReport)]
    assert 4 <= len(reports) <= 6
    assert list(reports[-1].measured["rtt_ns"]) == ["n2", "n3"]
    assert not any(isinstance(signal, Distances) for signal in stage.signals)


def test_the_leader_says_the_distances_between_all_and_ignores_what_is_no_report() -> None:
    stage = Stage(members=3, link=line(5, 10**9))
    stage.hear(LeaderChanged("n1", 1, True))
    stage.prober.on_message(0, "n2", ProbeReport({"rtt_ns": {"n3": 9 * MS}, "bandwidth_bps": {"n3": 10**6}}))
    for wrong in ({}, {"rtt_ns": {"n1": -1}, "bandwidth_bps": {}}, {"rtt_ns": [1], "bandwidth_bps": {}}):
        stage.prober.on_message(0, "n3", ProbeReport(wrong))
    stage.prober.on_message(0, "stranger", ProbeReport({"rtt_ns": {"n1": 1}, "bandwidth_bps": {}}))
    stage.run(5)
    said = stage.last(Distances)
    assert list(said.rtt_ns) == ["n1", "n2"] and said.rtt_ns["n2"] == {"n3": 9 * MS}
    assert said.bandwidth_bps["n2"] == {"n3": 10**6} and 5 * MS <= said.rtt_ns["n1"]["n3"] < 6 * MS


@given(st.lists(st.integers(1, 10**10), min_size=1, max_size=50))
def test_the_smoothed_round_trip_stays_between_the_samples(samples: list[int]) -> None:
    way = Way()
    for sample in samples:
        way.round_trip(sample)
    assert min(samples) - 8 <= way.rtt_ns <= max(samples)


@given(st.lists(st.tuples(st.booleans(), st.integers(-(10**6), 10**10)), max_size=50))
def test_whatever_is_measured_a_burst_has_its_bounds_and_no_link_is_faster_than_can_be_reported(
    samples: list[tuple[bool, int]],
) -> None:
    way = Way()
    way.round_trip(MS)
    for answered, sample in samples:
        if answered:
            way.burst(way.burst_bytes, sample)
        else:
            way.burst_lost()
        assert BURST_MIN <= way.burst_bytes <= BURST_MAX
        assert way.bandwidth_bps <= FASTEST_BPS * 2

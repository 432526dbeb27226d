"""What a stopped process finds when it goes on: any order between connections, each connection's own order, timers last."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tribulation.harness.simulator.cluster.backlog import ordered
from tribulation.node.core.interface.events import Connected, Received, Request, Start, StorageDone, TimerFired
from tribulation.node.core.interface.messages import HeartbeatReply

SOURCES = {
    "disk": lambda n: StorageDone(n),
    "timer": lambda n: TimerFired("t", n),
    "n2": lambda n: Received("n2", HeartbeatReply(1, n)),
    "n3": lambda n: Connected("n3") if n % 7 == 0 else Received("n3", HeartbeatReply(1, n)),
    "c1": lambda n: Request("c1", {"id": n}),
    "c2": lambda n: Request("c2", {"id": n}),
}


@given(st.lists(st.sampled_from(sorted(SOURCES))), st.integers(0, 2**64 - 1))
def test_each_source_keeps_its_order_and_the_classes_come_in_the_runtimes(names: list[str], key: int):
    events = [(name, SOURCES[name](number)) for number, name in enumerate(names)]
    source = {id(event): name for name, event in events}
    after = ordered([event for _, event in events], key)
    found = [source[id(event)] for event in after]
    assert sorted(map(id, after)) == sorted(id(event) for _, event in events)
    for name in SOURCES:
        assert [event for event in after if source[id(event)] == name] == [e for n, e in events if n == name]
    ranks = [{"disk": 0, "timer": 2}.get(name, 1) for name in found]
    assert ranks == sorted(ranks)


def test_a_client_may_be_heard_before_a_peer_that_wrote_earlier_and_the_other_way_round():
    events = [Received("n2", HeartbeatReply(1, 1)), Request("c1", {})]
    assert {type(ordered(events, key)[0]) for key in range(20)} == {Received, Request}


def test_a_process_stopped_before_its_first_turn_still_begins_with_its_start():
    events = [Start(1, 7, {}), Received("n2", HeartbeatReply(1, 1)), Request("c1", {})]
    assert {type(ordered(events, key)[0]) for key in range(20)} == {Start}

"""Probes between agents that run as plain processes of this machine: what was heard after a change, and what is reported of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from tribulation.harness.errors import FaultError, HostError
from tribulation.harness.nemesis.agent_client.agents import AgentClient, ask, connect_all, here, require
from tribulation.harness.nemesis.cluster.reachability import Reachability
from tribulation.harness.nemesis.topology.partitions import Edge

NAMES = ("a", "b", "c")


@contextlib.contextmanager
def three() -> Iterator[dict[str, AgentClient]]:
    agents = {name: here(name, 0) for name in NAMES}
    connect_all(agents)
    try:
        for agent in agents.values():
            agent.address = "127.0.0.1"
        yield agents
    finally:
        for agent in agents.values():
            agent.close()


ALL: frozenset[Edge] = frozenset((a, b) for a in NAMES for b in NAMES if a != b)


def test_links_that_are_heard_are_up_and_a_cut_that_is_none_is_not_verified() -> None:
    with three() as agents:
        reach = Reachability(agents)
        reach.connect()
        assert reach.measure_baseline(10.0) == frozenset() and reach.links == ALL
        whole = reach.verify(frozenset())
        assert whole.verified and whole.observed["edges"] == []
        claimed = reach.verify(frozenset({("a", "b")}))
        assert not claimed.verified and claimed.observed["cut_but_heard"] == [["a", "b"]]
        assert reach.sample() == dict.fromkeys(sorted(ALL), True)


def test_a_vertex_that_is_silent_is_distinguished_from_one_that_is_cut() -> None:
    with three() as agents:
        reach = Reachability(agents)
        reach.connect()
        assert reach.measure_baseline(10.0) == frozenset()
        # From now on a knows no node: it is not heard, and it hears none, as it takes packets of its peers only.
        require(ask(agents, {"a": {"do": "configure", "config": {"peers": {}}}}), "silencing a")
        seen = reach.verify(frozenset({("a", "b")}))
        assert not seen.verified
        assert seen.observed["down_but_not_cut"] == [["a", "c"], ["b", "a"], ["c", "a"]]
        assert seen.observed["edges"] == [["a", "b"], ["a", "c"], ["b", "a"], ["c", "a"]]


def test_a_link_that_was_never_up_proves_nothing() -> None:
    with three() as agents:
        reach = Reachability(agents)
        reach.connect()
        require(ask(agents, {"c": {"do": "configure", "config": {"peers": {}}}}), "silencing c")
        deadline_s = time.monotonic() + 10
        while reach.measure_baseline(0.5) != {("c", "a"), ("c", "b"), ("a", "c"), ("b", "c")}:
            assert time.monotonic() < deadline_s
        seen = reach.verify(frozenset({("a", "c")}))
        assert not seen.verified and seen.observed["unprobed"] == [["a", "c"]]


def test_a_lost_agent_is_reported_in_the_background_and_made_again_when_needed() -> None:
    with three() as agents:
        agents["b"].close()
        answers, failures = ask(agents, {name: {"do": "time"} for name in NAMES}, patient=False)
        assert sorted(answers) == ["a", "c"] and isinstance(failures["b"], HostError)
        with pytest.raises(FaultError, match="asking failed on 1 of 3:\n  b: agent of b: not connected"):
            require((answers, failures), "asking")
        answers, failures = ask(agents, {name: {"do": "time"} for name in NAMES})
        assert sorted(answers) == ["a", "b", "c"] and failures == {}

"""The four strategies, against the sentences that define them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tribulation.node.config.cluster import STRATEGIES
from tribulation.node.core.tasks.routing import LARGE_BYTES, Candidate, Measures, choose

MS = 1_000_000


def one(agent: str, host: str, load: int = 0, capacity: int = 100) -> Candidate:
    return Candidate(agent, host, load, capacity)


def task(size: int = 10, origin: str | None = "n1") -> dict[str, Any]:
    return {"from": origin, "size": size}


def test_local_first_takes_its_own_agent_however_near_the_others_are() -> None:
    candidates = [one("a2", "n2"), one("a1", "n1", load=3)]
    assert choose("local-first", task(), candidates, Measures(), "") == "a1"


def test_local_first_falls_back_to_the_least_loaded_host_for_its_capacity() -> None:
    candidates = [one("a2", "n2", load=2), one("a3", "n3", load=3, capacity=400), one("a4", "n4", load=1)]
    assert choose("local-first", task(), candidates, Measures(), "") == "a3"


def test_latency_aware_picks_the_5_ms_node_of_5_50_and_10() -> None:
    measured = Measures({"n1": {"n2": 50 * MS, "n3": 5 * MS, "n4": 10 * MS}})
    candidates = [one("a2", "n2"), one("a3", "n3", load=3), one("a4", "n4")]
    assert choose("latency-aware", task(), candidates, measured, "") == "a3"
    assert choose("latency-aware", task(), candidates[:1] + candidates[2:], measured, "") == "a4"


def test_latency_is_that_from_the_submitting_node_measured_from_either_end() -> None:
    measured = Measures({"n1": {"n3": MS}, "n2": {"n4": 2 * MS}, "n3": {"n2": 9 * MS}})
    candidates = [one("a3", "n3"), one("a4", "n4")]
    assert choose("latency-aware", task(origin="n2"), candidates, measured, "") == "a4"
    assert measured.rtt("n2", "n3") == 9 * MS


def test_bandwidth_aware_sends_500_kb_over_the_fast_link_and_little_to_the_near_node() -> None:
    measured = Measures(
        {"n1": {"n2": MS, "n3": 20 * MS, "n4": 5 * MS}},
        {"n1": {"n2": 1_250_000, "n3": 12_500_000, "n4": 1_250_000}},
    )
    candidates = [one("a2", "n2"), one("a3", "n3"), one("a4", "n4")]
    assert choose("bandwidth-aware", task(500_000), candidates, measured, "") == "a3"
    assert choose("bandwidth-aware", task(LARGE_BYTES - 1), candidates, measured, "") == "a2"


def test_round_robin_goes_round_by_name() -> None:
    candidates = [one("a3", "n1"), one("a1", "n1"), one("a2", "n2")]
    got, rotation = [], ""
    for _ in range(4):
        rotation = choose("round-robin", task(), candidates, Measures(), rotation) or ""
        got.append(rotation)
    assert got == ["a1", "a2", "a3", "a1"]
    assert choose("round-robin", task(), [one("a1", "n1"), one("a3", "n3")], Measures(), "a2") == "a3"


HOSTS = st.sampled_from(["n1", "n2", "n3", "n4"])
TABLES = st.dictionaries(HOSTS, st.dictionaries(HOSTS, st.integers(1, 100 * MS), max_size=4), max_size=4)
CANDIDATES = st.lists(
    st.builds(one, st.from_regex(r"a[0-9]{1,2}", fullmatch=True), HOSTS, st.integers(0, 4), st.integers(1, 400)),
    max_size=8,
    unique_by=lambda candidate: candidate.agent,
)


@given(
    st.sampled_from(STRATEGIES), CANDIDATES, TABLES, TABLES, st.integers(0, 1 << 20), st.none() | HOSTS, st.randoms()
)
def test_the_choice_is_the_best_by_its_sentence_and_does_not_depend_on_the_order(
    strategy: str,
    candidates: list[Candidate],
    rtt: dict[str, dict[str, int]],
    bandwidth: dict[str, dict[str, int]],
    size: int,
    origin: str | None,
    random: Any,
) -> None:
    measured, wanted = Measures(rtt, bandwidth), task(size, origin)
    got = choose(strategy, wanted, candidates, measured, "a5")
    shuffled = list(candidates)
    random.shuffle(shuffled)
    assert choose(strategy, wanted, shuffled, measured, "a5") == got
    if not candidates:
        assert got is None
        return
    chosen = next(candidate for candidate in candidates if candidate.agent == got)
    hosts = [candidate.host for candidate in candidates]
    if strategy == "local-first" and origin in hosts:
        assert chosen.host == origin
    elif strategy == "bandwidth-aware" and size >= LARGE_BYTES:
        assert measured.bandwidth(origin, chosen.host) == max(measured.bandwidth(origin, host) for host in hosts)
    elif strategy in ("latency-aware", "bandwidth-aware"):
        assert measured.rtt(origin, chosen.host) == min(measured.rtt(origin, host) for host in hosts)
    elif strategy == "local-first":
        assert chosen.load * 1_000_000 // chosen.capacity == min(c.load * 1_000_000 // c.capacity for c in candidates)
    else:
        later = sorted(c.agent for c in candidates if c.agent > "a5")
        assert got == (later or sorted(c.agent for c in candidates))[0]

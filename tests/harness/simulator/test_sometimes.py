"""The ledger of states: what shows each one, that many runs reach most of them, and that watching changes nothing."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tribulation.harness.campaign.model import Campaign
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.plan.plan import Plan
from tribulation.harness.run.simulated import simulate
from tribulation.harness.search.swarm import swarm, swarm_faults, swarm_node
from tribulation.harness.simulator.cluster.cluster import SimCluster
from tribulation.harness.simulator.coverage.sometimes import STATES, Sometimes, merged, table, unreached
from tribulation.harness.simulator.options import MILLISECOND, SECOND, SimOptions

from .real import Writer, ask, follower, leader
from .scripted import config

NODES = ("n1", "n2", "n3")


def watched(node: dict[str, Any] | None = None, **options: Any) -> tuple[SimCluster, Sometimes]:
    configs = {name: config(name, NODES, timing="fast", **(node or {})) for name in NODES}
    cluster, watch = SimCluster(configs, 1, SimOptions(**options)), Sometimes()
    watch.attach(cluster)
    return cluster, watch


def running(node: dict[str, Any] | None = None, **options: Any) -> tuple[SimCluster, Sometimes]:
    cluster, watch = watched(node, **options)
    cluster.start_all()
    assert cluster.run_while(lambda: leader(cluster) is None, 5 * SECOND)
    return cluster, watch


def seen_in(*lines: tuple[str, str, dict[str, Any]]) -> set[str]:
    """What a story of trace lines (node, event, fields) shows."""
    cluster, watch = watched()
    for node, event, fields in lines:
        for hear in cluster.watchers:
            hear({"node": node, "event": event, **fields})
    return {name for name, count in watch.counts.items() if count}


def entries(*pairs: tuple[int, int], crc: int = 0) -> dict[str, Any]:
    return {"entries": [[index, term, crc or 1000 * term + index] for index, term in pairs]}


THREE = dict.fromkeys(NODES, 1)


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        ([("n1", "append", entries((1, 1), (2, 1))), ("n1", "truncate", {"from": 1})], "log-truncated-by-several"),
        ([("n1", "leader", {"term": 1}), ("n2", "leader", {"term": 2})], "two-nodes-believed-to-lead"),
        ([("n1", "vote", {"term": 1}), ("n1", "leader", {"term": 2})], "election-without-winner"),
        ([("n1", "follower", {"reason": "no quorum answers"})], "leader-deposed-by-silence"),
        (
            [("n1", "append", entries((1, 1), (2, 2))), ("n1", "commit", {"index": 2, "term": 2})],
            "old-term-committed-with-new",
        ),
        ([("n1", "apply", entries((1, 1), (2, 1), crc=7))], "retried-command-applied-again"),
        ([("n1", "config", {"index": 4, "voters": {"n1": 1}})], "voters-changed"),
        ([("n1", "no-quorum", {}), ("n1", "quorum", {})], "quorum-lost-and-found"),
    ],
)
def test_a_story_of_lines_shows_the_state(lines, name):
    assert name in seen_in(*lines)


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        ([("n1", "append", entries((1, 1), (2, 1))), ("n1", "truncate", {"from": 2})], "log-truncated-by-several"),
        (
            [("n1", "leader", {"term": 1}), ("n1", "follower", {}), ("n2", "leader", {"term": 2})],
            "two-nodes-believed-to-lead",
        ),
        ([("n1", "vote", {"term": 1}), ("n1", "leader", {"term": 1})], "election-without-winner"),
        (
            [("n1", "apply", entries((1, 1), (2, 1))), ("n2", "apply", entries((1, 1), (2, 1)))],
            "retried-command-applied-again",
        ),
        ([("n1", "config", {"index": 4, "voters": THREE})], "voters-changed"),
        ([("n1", "quorum", {})], "quorum-lost-and-found"),
    ],
)
def test_what_only_looks_like_it_does_not(lines, name):
    assert name not in seen_in(*lines)


def test_a_leader_that_dies_while_a_client_waits():
    """A read that the dead leader was asked for is lost with it; one at a follower waits for the next leader."""
    cluster, watch = running()
    writer, target, other = Writer(cluster, "n1"), leader(cluster), follower(cluster)
    cluster.kill(target)
    cluster.request(
        "w", other, {"id": 1, "session": writer.session, "seq": 1, "ops": [["w", "k", 1]], "deadline_ms": 2000}, print
    )
    cluster.request("r", other, {"id": 2, "level": "linearizable", "ops": [["r", "k"]], "deadline_ms": 2000}, print)
    cluster.run_until(cluster.now_ns + 3 * SECOND)
    for name in ("leader-died", "leader-changed-with-writes-in-flight", "read-waited-out-a-leader-change"):
        assert watch.counts[name] == 1, name


def test_a_leader_stopped_for_longer_than_its_lease():
    cluster, watch = running({"lease_reads": True})
    target = leader(cluster)
    for for_ns, count in ((100 * MILLISECOND, 0), (400 * MILLISECOND, 1)):
        cluster.pause(target)
        cluster.run_until(cluster.now_ns + for_ns)
        cluster.resume(target)
        assert watch.counts["leader-stopped-past-its-lease"] == count


def test_a_leader_that_is_voted_out_hands_over_and_steps_down():
    cluster, watch = running()
    target = leader(cluster)
    ask(cluster, target, {"admin": "voters", "voters": {name: 1 for name in NODES if name != target}})
    cluster.run_until(cluster.now_ns + SECOND)
    counts = watch.counts
    assert counts["voter-removed-itself"] and counts["leadership-handed-over"] and counts["voters-changed"] >= 3


def test_a_power_loss_under_load_counts_what_it_took():
    cluster, watch = running(fsync_mean_ns=50 * MILLISECOND, loss_ppm=90_000, duplicate_ppm=90_000, reorder_ppm=90_000)
    session = ask(cluster, "n1", {"open": True})["session"]
    for number in range(30):
        body = {"id": number, "session": session, "seq": 1 + number, "ops": [["w", "x" * 700, number]]}
        cluster.request(f"busy{number}", "n1", body, lambda answer: None)
    cluster.run_until(cluster.now_ns + 60 * MILLISECOND)
    for name in NODES:
        cluster.power_loss(name)
    counts = watch.counts
    for name in ("unsynced-bytes-lost", "message-lost", "message-repeated", "message-overtaken"):
        assert counts[name], name


def plan_of(seed: int) -> Plan:
    campaign = Campaign.model_validate(
        {
            "name": "sometimes",
            "hosts": {"provider": "sim", "nodes": 5},
            "seed": seed,
            "duration": "5s",
            "settle": "1s",
            "system": swarm_node(seed),
            "workloads": [{"register": {"keys": 2, "clients": 5, "rate": "60/s"}}],
            "faults": swarm_faults(seed, [f"n{i}" for i in range(1, 6)], 5 * SECOND),
        }
    )
    return replace(make_plan(campaign, Path()), world=swarm(seed, SimOptions()).to_json())


def test_watching_changes_nothing_and_a_few_swarms_reach_most_states():
    total: dict[str, int] = {}
    for seed in range(6):
        watch, plan = Sometimes(), plan_of(seed)
        digest = simulate(plan, watch=watch.attach).digest
        if seed < 2:
            assert simulate(plan).digest == digest
        total = merged(total, watch.counts)
    assert set(total) == set(STATES)
    assert len(unreached(total)) <= 10, unreached(total)


def test_the_table_shows_in_red_what_was_not_reached():
    counts = merged(dict.fromkeys(STATES, 2), {"leader-died": 3})
    counts["message-lost"] = 0
    assert counts["leader-died"] == 5 and unreached(counts) == ["message-lost"]
    out = Console(file=io.StringIO(), width=160, force_terminal=True, color_system="standard")
    out.print(table(counts, runs=7))
    text = out.file.getvalue()  # type: ignore[attr-defined]
    assert f"{len(STATES) - 1} of {len(STATES)} states reached in 7 runs" in text
    (red,) = [line for line in text.splitlines() if "\x1b[31m" in line]
    assert "message-lost" in red

"""Agents and their epochs: stories of trace lines. An epoch is the log index that granted it."""

from __future__ import annotations

from .lines import Lines, places
from .stories import only, unknown, valid


def started(lines: Lines, node: str, epoch: int, agent: str = "a") -> Lines:
    return lines.line(node, "agent-started", agent=agent, epoch=epoch)


def suspended(lines: Lines, node: str, epoch: int, agent: str = "a", at_ms: float | None = None) -> Lines:
    return lines.line(node, "agent-suspended", at_ms, agent=agent, epoch=epoch)


def checkpoint(lines: Lines, node: str, epoch: int, index: int) -> Lines:
    return lines.line(node, "agent-checkpoint", agent="a", epoch=epoch, number=1, index=index)


def test_an_agent_that_moves_runs_at_a_new_epoch_on_the_other_host() -> None:
    lines = checkpoint(started(Lines(), "n1", 5), "n1", 5, 8)
    lines.line("n1", "agent-switched", agent="a", epoch=5, pause_ns=2_000_000, bytes=10)
    lines.line("n1", "agent-stopped", agent="a", epoch=5)
    stats = valid(checkpoint(started(lines, "n2", 9), "n2", 9, 12).quiet().judge("agents"))
    assert (stats["agents"], stats["placements"], stats["migrations"]) == (1, 2, 1)
    assert stats["pause_ms"]["1"] == 2.0


def test_one_epoch_on_two_hosts() -> None:
    lines = started(started(Lines(), "n1", 5), "n2", 5).quiet()
    anomaly = only(lines.judge("agents"), "two-hosts-in-one-epoch", ())
    assert anomaly.explanation == "Agent a of epoch 5 was started on n1 and on n2."
    assert places(anomaly) == [("n1", 0), ("n2", 0)]


def test_a_host_that_comes_back_may_start_its_epoch_again() -> None:
    lines = started(Lines(), "n1", 5).boot("n1")
    valid(started(lines, "n1", 5).quiet().judge("agents"))


def test_a_checkpoint_of_an_older_epoch_that_was_accepted_after_a_newer_was_granted() -> None:
    lines = started(started(Lines(), "n1", 5), "n2", 9)
    valid(checkpoint(lines, "n1", 5, 8).quiet().judge("agents"))
    anomaly = only(checkpoint(lines, "n1", 5, 10).judge("agents"), "work-of-an-old-epoch", ())
    assert anomaly.explanation == (
        "A checkpoint of agent a was accepted for epoch 5 at index 10 of the log, "
        "although epoch 9 had been granted to n2 before."
    )


def test_the_effect_of_a_task_counts_as_work_of_its_worker() -> None:
    lines = started(started(Lines(), "n1", 5), "n2", 9)
    lines.line("n1", "task-effect", task="t", claim=7, worker="a", epoch=5, index=11)
    only(lines.quiet().judge("agents"), "work-of-an-old-epoch", ())


def test_a_host_without_a_quorum_must_suspend_its_agents_at_once() -> None:
    lines = started(Lines(), "n1", 5).line("n1", "no-quorum", 10, since_ns=0)
    suspended(lines, "n1", 5, at_ms=10).line("n1", "marker", 20)
    valid(lines.quiet().judge("agents"))

    lines = started(Lines(), "n1", 5).line("n1", "no-quorum", 10, since_ns=0).line("n1", "marker", 35)
    anomaly = only(lines.quiet().judge("agents"), "runs-without-quorum", ())
    assert anomaly.explanation == (
        "n1 had no contact with a quorum and went on running agent a (epoch 5), at the least for 25 ms."
    )


def test_a_quorum_that_is_back_in_the_same_moment_was_not_missed() -> None:
    lines = started(Lines(), "n1", 5).line("n1", "no-quorum", 10, since_ns=0).line("n1", "quorum", 10)
    valid(lines.line("n1", "marker", 20).quiet().judge("agents"))


def test_missing_lines_are_doubt() -> None:
    lines = started(Lines(), "n1", 5).lose("n1").line("n1", "marker").quiet()
    unknown(lines.judge("agents"), because="lines are missing")


def test_a_pause_above_the_bound() -> None:
    lines = started(Lines(), "n1", 5).line("n1", "agent-switched", agent="a", epoch=5, pause_ns=300_000_000, bytes=1)
    lines.quiet()
    valid(lines.judge("agents"))
    valid(lines.judge("agents", options={"agents": {"max_pause_s": 0.3}}))
    anomaly = only(lines.judge("agents", options={"agents": {"max_pause_s": 0.2}}), "long-pause", ())
    assert anomaly.explanation == "The migration of agent a stopped it for 300 ms (allowed: 200 ms)."


def test_only_the_log_gives_an_agent_back_to_the_host_that_it_was_to_leave() -> None:
    standing = started(Lines(), "n1", 5).line("n1", "agent-standing", 10, agent="a", epoch=5, since=7)
    standing.line("n1", "agent-stopped", 10, agent="a", epoch=5)
    anomaly = only(started(standing, "n1", 5).quiet().judge("agents"), "resumed-without-the-log", ())
    assert anomaly.explanation == (
        "n1 ran agent a (epoch 5) again, which stood for the end of its migration, 1 ms later "
        "and without the log's word that it had been given up."
    )
    cancelled = started(Lines(), "n1", 5).line("n1", "agent-standing", 10, agent="a", epoch=5, since=7)
    cancelled.line("n1", "agent-move-cancelled", 20, agent="a", epoch=5, since=7)
    valid(started(cancelled, "n1", 5).quiet().judge("agents"))


def capacity(lines: Lines, node: str, places: int, **measures: int) -> Lines:
    return lines.line(node, "capacity", places=places, **measures)


def test_no_host_runs_more_agents_than_it_has_places_for() -> None:
    lines = capacity(Lines(), "n1", 2, slots=16, cpu_percent=13, memory_mib=1024)
    started(started(lines, "n1", 5), "n1", 6, "b").line("n1", "agent-stopped", agent="a", epoch=5)
    valid(started(lines, "n1", 7, "c").quiet().judge("agents"))
    anomaly = only(started(lines, "n1", 8, "d").judge("agents"), "beyond-capacity", ())
    assert anomaly.explanation == (
        "n1 ran 3 agents at one time, and has places for 2 (slots 16, cpu_percent 13, memory_mib 1024)."
    )
    assert anomaly.details["agents"] == ["b", "c", "d"]


def test_agents_that_were_suspended_or_ran_before_a_boot_take_no_place() -> None:
    lines = suspended(started(capacity(Lines(), "n1", 1), "n1", 5), "n1", 5)
    started(lines, "n1", 6, "b").boot("n1")
    valid(started(capacity(lines, "n1", 1), "n1", 7, "c").quiet().judge("agents"))


TRUTH = {"truth": {"election_ns": 200_000_000, "settle_ns": 1_000_000_000, "lossless": True}}
"""Two hosts may run one agent for 2 s."""


def overlapping(until_ms: float) -> Lines:
    lines = started(Lines(), "n1", 5).line("n2", "agent-started", 1000, agent="a", epoch=9)
    return lines.line("n1", "agent-stopped", until_ms, agent="a", epoch=5).line("n2", "quorum", 5000).quiet()


def test_two_hosts_run_one_agent_for_longer_than_the_old_one_may_take_to_stop() -> None:
    valid(overlapping(2900).judge("agents", **TRUTH))
    valid(overlapping(3100).judge("agents"))
    anomaly = only(overlapping(3100).judge("agents", **TRUTH), "two-hosts-at-once", ())
    assert anomaly.explanation.startswith("Agent a ran on n1 (epoch 5) and on n2 (epoch 9) at one time, from 1.000 s")


def test_a_host_that_stood_still_ran_nothing_meanwhile() -> None:
    valid(overlapping(3100).fault("pause", "n1", 1100, 3000).judge("agents", **TRUTH))
    only(overlapping(4900).fault("pause", "n1", 1100, 1200).judge("agents", **TRUTH), "two-hosts-at-once", ())


def moved(digest: str, origin: str = "migration", epoch: int = 9) -> Lines:
    lines = started(Lines(), "n1", 5).line(
        "n1", "agent-switched", agent="a", epoch=9, pause_ns=1, bytes=1, digest="11", **{"from": "n1"}, to="n2"
    )
    return lines.line("n2", "agent-placed", agent="a", epoch=epoch, origin=origin, digest=digest).quiet()


def test_a_migration_brings_the_state_that_the_agent_had() -> None:
    valid(moved("11").judge("agents"))
    anomaly = only(moved("22").judge("agents"), "moved-with-another-state", ())
    assert anomaly.explanation == (
        "Agent a moved from n1 to n2 (epoch 9) and began there with another state than it had when it left."
    )


def test_what_did_not_come_by_that_migration_is_not_compared() -> None:
    valid(moved("22", origin="checkpoint").judge("agents"))
    valid(moved("22", epoch=12).judge("agents"))

"""The pool of agents: stories of agents that are spawned, stopped and listed. Event number i happens at i ms."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.checkers import CheckResult

from .lines import Lines
from .stories import Story, only, unknown, valid


def listed(*agents: str, host: str = "n1", epoch: int = 5, state: str = "running") -> list[dict[str, Any]]:
    return [{"agent": agent, "host": host, "epoch": epoch, "state": state} for agent in agents]


def judge(story: Story, **record: Any) -> CheckResult:
    return story.judge("pool", phases={"quiet_end": 0}, **record)


def test_agents_that_were_spawned_alone_and_together_are_there_and_those_that_were_stopped_are_not() -> None:
    story = Story().ok(0, "spawn", "a", {"host": "n1", "epoch": 5})
    story.ok(0, "deploy", ["b", "c", "d"], {"placed": {"b": {}, "c": {}}, "refused": {"d": "no-room"}})
    story.ok(1, "stop", "b").ok(2, "pool", None, listed("a", "c"))
    assert valid(judge(story)) == {"spawned": 3, "stopped": 1, "pools": 1, "at_the_end": 2, "in_doubt": 0}


def test_an_acknowledged_agent_that_is_in_no_pool() -> None:
    story = Story().ok(0, "spawn", "a", {}).ok(1, "pool", None, [])
    anomaly = only(judge(story), "lost-agent", (0, 2))
    assert anomaly.explanation.startswith("Agent a was spawned by spawn of a by process 0 (index 0 to 1")
    assert "not stopped" in anomaly.explanation


def test_an_agent_of_a_deployment_is_as_good_as_any_other() -> None:
    story = Story().ok(0, "deploy", ["a", "b"], {"placed": {"a": {}, "b": {}}, "refused": {}})
    assert only(judge(story.ok(1, "pool", None, listed("a"))), "lost-agent", (0, 2)).details == {"agent": "b"}


def test_a_stopped_agent_that_is_there_again() -> None:
    story = Story().ok(0, "spawn", "a", {}).ok(0, "stop", "a").ok(1, "pool", None, listed("a", host="n3"))
    assert "has it on n3" in only(judge(story), "stopped-agent", (2, 4)).explanation


def test_an_agent_that_nobody_spawned_or_whose_spawn_was_refused() -> None:
    story = Story().fail(0, "spawn", "a").ok(1, "pool", None, listed("a"))
    only(judge(story), "phantom-agent", (2,))
    early = Story().ok(1, "pool", None, listed("a")).ok(0, "spawn", "a", {}).ok(1, "pool", None, listed("a"))
    only(judge(early), "phantom-agent", (0,))


@pytest.mark.parametrize("there", [(), ("a",)])
def test_what_timed_out_or_goes_on_meanwhile_may_have_happened_or_not(there: tuple[str, ...]) -> None:
    read = listed(*there)
    valid(judge(Story().info(0, "spawn", "a").ok(1, "pool", None, read)))
    valid(judge(Story().ok(0, "spawn", "a", {}).info(0, "stop", "a").ok(1, "pool", None, read)))
    valid(judge(Story().ok(0, "spawn", "a", {}).begin(0, "stop", "a").ok(1, "pool", None, read).end(0)))
    valid(judge(Story().info(0, "spawn", "a").ok(2, "stop", "a").ok(1, "pool", None, read)))


def test_what_was_acknowledged_once_is_counted_although_another_try_timed_out() -> None:
    story = Story().info(0, "spawn", "a").ok(2, "spawn", "a", {}).info(3, "stop", "a").ok(2, "stop", "a")
    figures = valid(judge(story.ok(1, "pool", None, [])))
    assert (figures["spawned"], figures["stopped"]) == (1, 1)


def test_a_stop_that_was_refused_did_not_happen() -> None:
    only(judge(Story().ok(0, "spawn", "a", {}).fail(0, "stop", "a").ok(1, "pool", None, [])), "lost-agent", (0, 4))


def test_an_agent_that_is_listed_twice() -> None:
    story = Story().ok(0, "spawn", "a", {}).ok(1, "pool", None, listed("a") + listed("a", host="n2"))
    only(judge(story), "listed-twice", (2,))


def test_a_later_read_that_has_an_older_epoch() -> None:
    story = Story().ok(0, "spawn", "a", {}).ok(1, "pool", None, listed("a", epoch=9)).ok(2, "pool", None, listed("a"))
    assert "at epoch 5, after" in only(judge(story), "older-epoch", (2, 4)).explanation
    reads = Story().ok(0, "spawn", "a", {}).begin(1, "pool").begin(2, "pool")
    valid(judge(reads.end(1, listed("a", epoch=9)).end(2, listed("a"))))


def test_a_later_read_is_compared_with_the_newest_epoch_of_those_before() -> None:
    story = Story().ok(0, "spawn", "a", {}).ok(1, "pool", None, listed("a")).ok(1, "pool", None, listed("a", epoch=9))
    only(judge(story.ok(2, "pool", None, listed("a", epoch=7))), "older-epoch", (4, 6))
    valid(
        judge(
            Story().ok(0, "spawn", "a", {}).ok(1, "pool", None, listed("a")).ok(2, "pool", None, listed("a", epoch=7))
        )
    )


def test_at_the_end_all_run() -> None:
    story = Story().ok(0, "spawn", "a", {}).ok(1, "pool", None, listed("a", state="placed"))
    assert only(judge(story), "idle-agent", (2,)).details["host"] == "n1"
    during = story.judge("pool", phases={"quiet_end": 10_000_000_000})
    unknown(during, "no pool was read after the quiet period")


def test_a_stale_read_is_no_evidence() -> None:
    story = Story().ok(0, "spawn", "a", {}).ok(1, "pool", None, [], level="stale").ok(1, "pool", None, listed("a"))
    valid(judge(story))


def test_a_host_that_never_said_that_it_started_an_agent_does_not_run_it() -> None:
    lines = Lines()
    lines.operations.ok(0, "spawn", "a", {}).ok(1, "pool", None, listed("a"))
    lines.line("n1", "agent-started", agent="a", epoch=4).quiet()
    anomaly = only(lines.judge("pool", phases={"quiet_end": 0}), "not-started", (2,))
    assert anomaly.explanation.endswith("(epoch 5) running on n1, which never started it.")
    lines.line("n1", "agent-started", agent="a", epoch=5)
    valid(lines.judge("pool", phases={"quiet_end": 0}))


def test_a_trace_with_gaps_proves_no_absence() -> None:
    lines = Lines()
    lines.operations.ok(0, "spawn", "a", {}).ok(1, "pool", None, listed("a"))
    lines.line("n1", "quorum").lose("n1").line("n1", "quorum").quiet()
    unknown(lines.judge("pool", phases={"quiet_end": 0}), "n1: lines are missing from its trace")


def test_another_history_has_no_pool() -> None:
    unknown(Story().ok(0, "read", None, 1).judge("pool"), "does not apply")

"""Fencing tokens, where they are issued and where they are shown: stories."""

from __future__ import annotations

from random import Random

from .lines import Lines, places
from .stories import Story, kinds, only, unknown, valid


def fence(lines, token, accepted=True, node="n1", resource="disk", holder="c1"):
    return lines.line(node, "fence", resource=resource, token=token, accepted=accepted, holder=holder)


def test_a_smaller_token_is_accepted():
    lines = fence(fence(fence(Lines("n1"), 3), 5, holder="c2"), 4)
    anomaly = only(lines.judge("fencing-tokens"), "fence-violated", ())
    assert anomaly.explanation == "Resource disk at n1 accepted token 4 of c1 after token 5 of c2, 1 ms later."
    assert places(anomaly) == [("n1", 1), ("n1", 2)]


def test_near_misses_at_the_resource():
    lines = fence(fence(fence(fence(Lines("n1", "n2"), 5), 5), 4, accepted=False), 1, resource="tape")
    stats = valid(fence(lines, 2, node="n2").judge("fencing-tokens"))
    assert stats == {"issued": 0, "accepted": 4, "turned_away": 1, "resources": 3}


def test_the_largest_token_is_that_of_all_before():
    lines = fence(fence(fence(Lines("n1"), 5), 4), 4)
    result = lines.judge("fencing-tokens")
    assert kinds(result) == ["fence-violated", "fence-violated"]
    assert places(result.anomalies[1]) == [("n1", 0), ("n1", 2)]


def test_a_resource_must_not_forget_at_a_restart():
    lines = fence(fence(Lines("n1"), 5).boot("n1"), 4)
    assert only(lines.judge("fencing-tokens"), "fence-violated", ()).explanation.endswith(
        "which it had forgotten when it was started again."
    )


def test_lines_that_are_missing():
    lines = fence(fence(Lines("n1"), 5).lose("n1"), 6)
    unknown(lines.judge("fencing-tokens"), "lines are missing from the trace of n1")
    other = fence(Lines("n1", "n2"), 5).line("n2", "quorum").lose("n2").line("n2", "quorum")
    valid(other.judge("fencing-tokens"))


def test_accesses_that_do_not_overlap():
    story = Story().ok(0, "access", 1, key="disk").ok(1, "access", 2, key="disk").ok(0, "access", 1, key="disk")
    anomaly = only(story.judge("fencing-tokens"), "fence-violated", (2, 4))
    assert anomaly.explanation == (
        "Resource disk accepted token 1 although token 2 had been accepted 1 ms earlier: access of 2 by process 1 (index 2 to 3, 0.002 s to 0.003 s); "
        "access of 1 by process 0 (index 4 to 5, 0.004 s to 0.005 s)."
    )
    valid(Story().begin(0, "access", 1).ok(1, "access", 2).end(0).judge("fencing-tokens"))
    valid(
        Story()
        .ok(0, "access", 2, key="a")
        .ok(0, "access", 1, key="b")
        .ok(0, "access", 1, key="b")
        .judge("fencing-tokens")
    )
    assert valid(Story().ok(0, "access", 2).fail(0, "access", 1).judge("fencing-tokens"))["turned_away"] == 1
    valid(Story().ok(1, "access", 1).info(0, "access", 2).ok(1, "access", 1).judge("fencing-tokens"))


def test_tokens_grow_where_they_are_issued():
    story = Story().ok(0, "acquire", None, 7, key="l").ok(1, "acquire", None, 6, key="l")
    anomaly = only(story.judge("fencing-tokens"), "token-not-growing", (0, 2))
    assert anomaly.explanation.startswith(
        "Lock l issued token 6 1 ms after token 7 had been issued: acquire by process 0"
    )
    only(Story().ok(0, "acquire", None, 7).ok(1, "acquire", None, 7).judge("fencing-tokens"), "token-reused", (0, 2))
    stats = valid(
        Story()
        .begin(0, "acquire")
        .ok(1, "acquire", None, 8)
        .end(0, 7)
        .ok(0, "acquire", None, 9)
        .judge("fencing-tokens")
    )
    assert stats["issued"] == 3
    valid(Story().ok(0, "acquire", None, 7, key="a").ok(1, "acquire", None, 7, key="b").judge("fencing-tokens"))


def test_nothing_to_compare():
    unknown(Story().ok(0, "acquire").judge("fencing-tokens"), "does not apply")
    unknown(Story().ok(0, "acquire", None, True).judge("fencing-tokens"), "does not apply")
    unknown(Story().fail(0, "access", 1).judge("fencing-tokens"), "no token was issued or accepted")
    unknown(fence(Lines("n1"), 5, accepted=False).judge("fencing-tokens"), "no token was issued or accepted")


def test_overtaken_accesses_are_those_of_the_definition():
    random = Random(6)
    for _ in range(200):
        story, open_, spans = Story(), {}, []
        for _ in range(14):
            process = random.randrange(3)
            if process in open_:
                token, begun = open_.pop(process)
                spans.append((token, begun, len(story.events)))
                story.end(process)
            else:
                token = random.randrange(6)
                open_[process] = (token, len(story.events))
                story.begin(process, "access", token)
        wrong = sum(any(a > b and a_end < b_begin for a, _, a_end in spans) for b, b_begin, _ in spans)
        result = story.judge("fencing-tokens")
        assert result.stats.get("anomalies", {}).get("fence-violated", 0) == wrong


def test_what_was_turned_away_is_counted_once_each():
    story = Story().ok(0, "access", 2).fail(0, "access", 1).fail(0, "access", 1).ok(0, "access", 3)
    assert valid(story.judge("fencing-tokens")) == {"issued": 0, "accepted": 2, "turned_away": 2, "resources": 0}
    assert valid(Story().ok(0, "access", 2).info(1, "access", 1).judge("fencing-tokens"))["turned_away"] == 0

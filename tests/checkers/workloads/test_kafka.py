"""Logs that are appended to and polled: stories."""

from __future__ import annotations

from random import Random

from tribulation.checkers import Verdict

from .stories import Story, kinds, only, unknown, valid


class Log(Story):
    def send(self, process, key, value, offset):
        return self.ok(process, "send", [["send", key, value]], [["send", key, [offset, value]]])

    def poll(self, process, **logs):
        return self.ok(process, "poll", [["poll"]], [["poll", logs]])


def three():
    """Log x holds 10, 11 and 12."""
    return Log().send(0, "x", 10, 0).send(0, "x", 11, 1).send(0, "x", 12, 2)


def test_a_log_in_order():
    log = three().poll(1, x=[[0, 10], [1, 11]]).poll(1, x=[[2, 12]]).poll(1).send(0, "x", 13, 7)
    stats = valid(log.judge("kafka"))
    assert stats == {"sent": 4, "acknowledged": 4, "polls": 3, "messages": 3, "logs": 1, "not_reached": 1, "lost": 0}


def test_two_values_at_one_offset_and_one_value_at_two():
    unsure = three().info(3, "send", [["send", "x", 99]]).poll(1, x=[[0, 10], [1, 11], [2, 12]]).poll(2, x=[[1, 99]])
    anomaly = only(unsure.judge("kafka"), "inconsistent-offset", (2, 10))
    assert anomaly.details == {"key": "x", "offset": 1, "values": [11, 99]}
    anomaly = only(three().poll(1, x=[[0, 10], [1, 11], [2, 12], [3, 12]]).judge("kafka"), "duplicate", (4, 6))
    assert anomaly.details == {"key": "x", "offsets": [2, 3], "value": 12}
    valid(three().send(0, "y", 10, 1).poll(1, x=[[0, 10], [1, 11], [2, 12]], y=[[1, 10]]).judge("kafka"))


def test_a_lost_write():
    """Two pollers took the log in turns, and neither was given 11."""
    log = three().poll(1, x=[[0, 10]]).poll(2, x=[[2, 12]])
    anomaly = only(log.judge("kafka"), "lost-write", (2, 8))
    assert anomaly.explanation.startswith("11 was acknowledged at offset 1 of log x by send of [['send', 'x', 11]]")
    assert log.judge("kafka").stats["lost"] == 1
    beyond = three().poll(1, x=[[0, 10]])
    assert valid(beyond.judge("kafka"))["not_reached"] == 2
    late = three().poll(1, x=[[1, 11], [2, 12]])
    assert valid(late.judge("kafka"))["not_reached"] == 1


def test_skips_and_steps_back_between_polls():
    log = three().poll(2, x=[[1, 11]]).poll(1, x=[[0, 10]]).poll(1, x=[[2, 12]])
    anomaly = only(log.judge("kafka"), "poll-skip", (2, 8, 10))
    assert anomaly.details == {"key": "x", "offsets": [0, 2], "skipped": [1]}
    assert anomaly.explanation.startswith(
        "Process 1 polled offset 0 of log x and then offset 2, past 11 at offset 1: poll"
    )
    back = three().poll(1, x=[[0, 10], [1, 11], [2, 12]]).poll(1, x=[[2, 12]])
    only(back.judge("kafka"), "nonmonotonic-poll", (6, 8))
    valid(Log().send(0, "x", 10, 0).send(0, "x", 11, 5).poll(1, x=[[0, 10]]).poll(1, x=[[5, 11]]).judge("kafka"))


def test_skips_and_steps_back_within_one_operation():
    only(three().poll(2, x=[[1, 11]]).poll(1, x=[[0, 10], [2, 12]]).judge("kafka"), "internal-poll-skip", (2, 8))
    assert kinds(three().poll(1, x=[[0, 10], [2, 12], [1, 11]]).judge("kafka")) == [
        "internal-poll-skip",
        "internal-nonmonotonic-poll",
    ]
    two = three().ok(
        1, "poll", [["poll"], ["poll"]], [["poll", {"x": [[0, 10], [1, 11]]}], ["poll", {"x": [[1, 11], [2, 12]]}]]
    )
    assert kinds(two.judge("kafka")) == ["internal-nonmonotonic-poll"]


def test_a_process_that_is_assigned_anew_starts_anew():
    skip = three().poll(2, x=[[1, 11]]).poll(1, x=[[0, 10]])
    kept = Log()
    kept.events, kept.open = [*skip.events], {}
    assert kinds(kept.ok(1, "assign", ["x", "y"]).poll(1, x=[[2, 12]]).judge("kafka")) == ["poll-skip"]
    for move in (("assign", ["y"]), ("subscribe", ["x"])):
        moved = Log()
        moved.events, moved.open = [*skip.events], {}
        valid(moved.ok(1, *move).poll(1, x=[[2, 12]]).judge("kafka"))
    other = Log()
    other.events, other.open = [*skip.events], {}
    assert kinds(other.ok(2, "assign", []).poll(1, x=[[2, 12]]).judge("kafka")) == ["poll-skip"]
    both = Log()
    both.events, both.open = [*skip.events], {}
    valid(both.ok(2, "assign", []).ok(1, "assign", ["y"]).poll(1, x=[[2, 12]]).judge("kafka"))
    refused = Log()
    refused.events, refused.open = [*skip.events], {}
    assert kinds(refused.fail(1, "assign", []).poll(1, x=[[2, 12]]).judge("kafka")) == ["poll-skip"]
    rebalanced = Log()
    rebalanced.events, rebalanced.open = [*skip.events], {}
    valid(rebalanced.ok(1, "poll", [["poll"]], [["poll", {"x": [[2, 12]]}]], rebalanced=True).judge("kafka"))


def test_a_poll_that_failed_may_have_moved_on():
    valid(
        three()
        .poll(2, x=[[1, 11]])
        .poll(1, x=[[0, 10]])
        .fail(1, "poll", [["poll"]])
        .poll(1, x=[[2, 12]])
        .judge("kafka")
    )


def test_aborted_reads_and_messages_from_nowhere():
    log = Log().fail(0, "send", [["send", "x", 9]]).send(0, "x", 10, 1).poll(1, x=[[0, 9], [1, 10]])
    anomaly = only(log.judge("kafka"), "aborted-read", (0, 4))
    assert anomaly.explanation.startswith("9 was polled from log x although its send was refused: send of")
    only(three().poll(1, x=[[0, 10], [1, 11], [2, 12], [3, 77], [3, 77]][:4]).judge("kafka"), "thin-air", (6,))
    valid(Log().info(0, "send", [["send", "x", 9]]).send(2, "x", 10, 1).poll(1, x=[[0, 9], [1, 10]]).judge("kafka"))


def test_sends_of_one_process_get_growing_offsets():
    log = Log().send(0, "x", 10, 5).send(0, "x", 11, 4).poll(1, x=[[4, 11], [5, 10]])
    anomaly = only(log.judge("kafka"), "nonmonotonic-send", (0, 2))
    assert anomaly.details["offsets"] == [5, 4]
    valid(
        Log().send(0, "x", 10, 5).send(2, "x", 11, 4).send(0, "y", 12, 1).poll(1, x=[[4, 11], [5, 10]]).judge("kafka")
    )


def test_nothing_to_compare():
    unknown(three().poll(1).judge("kafka"), "3 sends were acknowledged and 0 messages")
    unknown(
        Log().info(0, "send", [["send", "x", 9]]).poll(1, x=[[0, 9]]).judge("kafka"),
        "0 sends were acknowledged and 1 messages",
    )
    unknown(Log().send(0, "x", 1, 0).judge("kafka"), "does not apply")
    unknown(
        three().poll(1, x=[[0, 10]]).ok(0, "send", [["look", "x"]]).ok(0, "send", [["send", "x"]]).judge("kafka"),
        "2 parts are not `send` or `poll`",
    )


def test_a_log_polled_in_order_is_never_found_wrong_and_a_planted_fault_is():
    random = Random(3)
    for _ in range(150):
        log, count = Log(), random.randrange(4, 15)
        offsets = sorted(random.sample(range(40), count))
        for number, offset in enumerate(offsets):
            log.send(number % 2, "x", number, offset)
        fault = random.choice(["none", "lost", "twice", "back"])
        messages = [[offset, number] for number, offset in enumerate(offsets)]
        at = random.randrange(1, count - 2)
        if fault == "lost":
            del messages[at]
        elif fault == "twice":
            messages.insert(at + 1, [messages[at][0] + 100, messages[at][1]])
        elif fault == "back":
            messages[at], messages[at + 1] = messages[at + 1], messages[at]
        while messages:
            size = random.randrange(1, 4)
            log.poll(7, x=messages[:size])
            messages = messages[size:]
        found = kinds(log.judge("kafka"))
        expected = {"none": None, "lost": "lost-write", "twice": "duplicate", "back": "nonmonotonic-poll"}[fault]
        assert (log.judge("kafka").verdict is Verdict.VALID) == (fault == "none")
        assert expected is None or any(kind.endswith(expected) for kind in found)


def test_a_poll_that_says_nothing_returned_nothing():
    assert valid(three().ok(1, "poll", [["poll"]], [["poll"]]).poll(1, x=[[0, 10]]).judge("kafka"))["polls"] == 2

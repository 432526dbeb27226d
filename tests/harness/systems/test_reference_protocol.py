"""The pure client: operations to requests, answers to outcomes. What was not answered is a fail for a read and doubt for a write."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.harness.systems.base import Op, Outcome
from tribulation.harness.systems.reference.client import ReferenceProtocol, Request


def with_session(session: int = 42) -> ReferenceProtocol:
    protocol = ReferenceProtocol()
    protocol.session = session
    return protocol


def ok(request: Request, **fields: Any) -> dict[str, Any]:
    return {"id": request.body["id"], "status": "ok", "node": "n2", "term": 4, **fields}


def fail(request: Request, error: str, status: str = "fail", **fields: Any) -> dict[str, Any]:
    return {"id": request.body["id"], "status": status, "error": error, "node": "n2", **fields}


@pytest.mark.parametrize(
    ("op", "ops", "results", "value"),
    [
        (Op("read", "k", None), [["r", "k"]], [5], 5),
        (Op("read", "k", None), [["r", "k"]], [None], None),
        (Op("write", "k", 5), [["w", "k", 5]], [5], 5),
        (Op("cas", "k", [5, 6]), [["cas", "k", 5, 6]], [6], [5, 6]),
        (Op("append", "k", 7), [["append", "k", 7]], [[5, 7]], 7),
        (Op("add", "s", 7, workload="set"), [["append", "s", 7]], [[5, 7]], 7),
        (Op("read", "s", None, workload="set"), [["r", "s"]], [[5, 7]], [5, 7]),
        (Op("read", "s", None, workload="set"), [["r", "s"]], [None], []),
        (
            Op("txn", None, [["r", "a", None], ["append", "b", 1], ["w", "c", 2]]),
            [["r", "a"], ["append", "b", 1], ["w", "c", 2]],
            [[3], [1], 2],
            [["r", "a", [3]], ["append", "b", 1], ["w", "c", 2]],
        ),
    ],
)
def test_operations_become_transactions_and_results_values(
    op: Op, ops: list[Any], results: list[Any], value: Any
) -> None:
    protocol = with_session()
    request = protocol.begin(op, 1.0)
    assert request.body["ops"] == ops
    outcome = protocol.receive(ok(request, results=results, index=9))
    assert isinstance(outcome, Outcome)
    assert (outcome.type, outcome.value, outcome.error) == ("ok", value, None)
    assert outcome.extra["log_index"] == 9
    assert (outcome.extra["term"], outcome.extra["served_by"]) == (4, "n2")


def test_the_first_write_opens_a_session_and_every_write_has_its_number() -> None:
    protocol = ReferenceProtocol()
    opening = protocol.begin(Op("write", "k", 1), 1.0)
    assert opening.body["open"] is True
    write = protocol.receive(ok(opening, session=17))
    assert isinstance(write, Request)
    assert (write.body["session"], write.body["seq"]) == (17, 1)
    first = protocol.receive(ok(write, results=[1], index=18))
    assert isinstance(first, Outcome)
    assert (first.extra["session"], first.extra["seq"]) == (17, 1)
    second = protocol.begin(Op("cas", "k", (1, 2)), 1.0)
    assert (second.body["session"], second.body["seq"]) == (17, 2)


def test_a_read_needs_no_session_and_carries_what_was_seen() -> None:
    protocol = ReferenceProtocol()
    first = protocol.begin(Op("read", "k", level="sequential"), 1.0)
    assert "session" not in first.body
    assert (first.body["level"], first.body["seen"]) == ("sequential", 0)
    protocol.receive(ok(first, results=[1], index=130))
    second = protocol.begin(Op("read", "k", level="stale"), 1.0)
    assert second.body["seen"] == 130
    outcome = protocol.receive(ok(second, results=[1], index=120, stale=True))
    assert isinstance(outcome, Outcome)
    assert outcome.extra["stale"] is True
    assert protocol.begin(Op("read", "k"), 1.0).body["seen"] == 130, "what was seen never shrinks"


def test_writes_are_linearizable_whatever_the_level_asked() -> None:
    assert with_session().begin(Op("write", "k", 1, level="stale"), 1.0).body["level"] == "linearizable"


def test_the_node_gives_up_before_the_client() -> None:
    assert 0 < with_session().begin(Op("read", "k"), 0.5).body["deadline_ms"] < 500
    assert with_session().begin(Op("read", "k"), 0.001).body["deadline_ms"] == 1


def test_a_mismatch_reports_what_was_observed() -> None:
    protocol = with_session()
    request = protocol.begin(Op("cas", "k", [5, 6]), 1.0)
    outcome = protocol.receive(fail(request, "mismatch", results=[9], index=131))
    assert isinstance(outcome, Outcome)
    assert (outcome.type, outcome.error, outcome.extra["observed"]) == ("fail", "mismatch", [9])
    assert protocol.seen == 131


@pytest.mark.parametrize(
    ("f", "expected"), [("read", "fail"), ("write", "info"), ("cas", "info"), ("add", "info"), ("append", "info")]
)
def test_no_answer_is_doubt_for_writes_only(f: str, expected: str) -> None:
    op = Op(f, "k", [1, 2])
    for end in (lambda p: p.expire(), lambda p: p.disconnected("connection-lost")):
        protocol = with_session()
        protocol.begin(op, 1.0)
        outcome = end(protocol)
        assert (outcome.type, outcome.value) == (expected, [1, 2])
    protocol = with_session()
    answered = protocol.receive(fail(protocol.begin(op, 1.0), "leader-changed", status="info"))
    assert isinstance(answered, Outcome)
    assert (answered.type, answered.error) == (expected, "leader-changed")


def test_a_write_whose_session_could_not_be_opened_did_not_happen() -> None:
    """Also when the opening itself is in doubt: the write was never sent."""
    protocol = ReferenceProtocol()
    opening = protocol.begin(Op("write", "k", 1), 1.0)
    refused = protocol.receive(fail(opening, "no-quorum"))
    assert isinstance(refused, Outcome)
    assert (refused.type, refused.error) == ("fail", "no-quorum")
    protocol.begin(Op("write", "k", 1), 1.0)
    assert protocol.expire().type == "fail"
    opening = protocol.begin(Op("write", "k", 1), 1.0)
    doubtful = protocol.receive(fail(opening, "timeout", status="info"))
    assert isinstance(doubtful, Outcome) and doubtful.type == "fail"


def test_doubt_gives_up_the_session() -> None:
    protocol = with_session(42)
    protocol.begin(Op("write", "k", 1), 1.0)
    outcome = protocol.expire()
    assert outcome.extra == {"session": 42, "seq": 1}
    assert protocol.begin(Op("write", "k", 2), 1.0).body["open"] is True


def test_an_expired_session_is_opened_again() -> None:
    protocol = with_session()
    request = protocol.begin(Op("write", "k", 1), 1.0)
    outcome = protocol.receive(fail(request, "session-expired"))
    assert isinstance(outcome, Outcome) and outcome.type == "fail"
    assert protocol.session is None


def test_answers_to_earlier_requests_are_not_taken_for_this_ones() -> None:
    protocol = with_session()
    late = protocol.begin(Op("read", "k"), 1.0)
    protocol.expire()
    current = protocol.begin(Op("read", "k"), 1.0)
    assert protocol.receive(ok(late, results=[1], index=1)) is None
    assert isinstance(protocol.receive(ok(current, results=[2], index=2)), Outcome)
    assert protocol.receive(ok(current, results=[2], index=2)) is None


@pytest.mark.parametrize("op", [Op("frobnicate", "k"), Op("cas", "k", 5)])
def test_what_this_system_does_not_have_is_an_error(op: Op) -> None:
    with pytest.raises(ValueError, match=op.f):
        with_session().begin(op, 1.0)

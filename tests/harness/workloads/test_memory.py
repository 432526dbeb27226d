"""The workload of agent memory: what its clients do, and how its operations become requests to a node."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tribulation.harness.campaign.node_sections import _memory
from tribulation.harness.systems.base import Op, Outcome
from tribulation.harness.systems.reference.client import ReferenceProtocol, Request
from tribulation.harness.workloads.generators import Context, Generator
from tribulation.harness.workloads.memory import MemorySpec, MemoryWorkload
from tribulation.node.core.memory.request import parse

OK = Outcome("ok")


def operations(generator: Generator, count: int, client: int = 0, outcome: Outcome = OK) -> list[Op]:
    found = []
    for i in range(count):
        emit, generator = generator.next(Context(7, "memory", client, 3, i, 0))
        if emit is None:
            break
        found.append(emit.op)
        generator = generator.update(emit.op, outcome)
    return found


def test_every_change_can_be_found_again() -> None:
    workload = MemoryWorkload("memory", MemorySpec(texts=100))
    changes = [
        op.value["fields"] for client in range(3) for op in operations(workload.load(), 200, client) if op.f == "learn"
    ]
    elements = [
        element for fields in changes for value in fields.values() if isinstance(value, list) for element in value
    ]
    texts = [value for fields in changes for value in fields.values() if isinstance(value, str)]
    assert len(elements) > 100 and len(set(elements)) == len(elements)
    assert len(texts) > 100 and len(set(texts)) == len(texts)
    assert any(isinstance(value, int) for fields in changes for value in fields.values())


def test_records_kinds_levels_and_deletions_are_those_of_the_spec() -> None:
    spec = MemorySpec(
        kinds=("fact",), records=5, forgotten=1, levels={"quorum": 1}, change_levels={"eventual": 1, "linearizable": 1}
    )
    ops = operations(MemoryWorkload("memory", spec).load(), 400)
    assert {op.key for op in ops} == {f"fact/r{i}" for i in range(5)}
    assert {op.key for op in ops if op.f == "forget"} == {"fact/r4"}
    assert {op.level for op in ops if op.f == "recall"} == {"quorum"}
    assert {op.level for op in ops if op.f == "learn"} == {"eventual", "linearizable"}


def test_in_the_end_every_client_reads_every_record_and_the_digest() -> None:
    workload = MemoryWorkload("memory", MemorySpec(kinds=("episode", "profile"), records=40))
    final = operations(workload.final(()), 100)
    assert [op.key for op in final[:2]] == ["episode/r0", "episode/r1"]
    assert len(final) == 40 + 30 + 1 and (final[-1].f, final[-1].key) == ("memory-digest", None)
    assert {op.level for op in final} == {"eventual"}
    refused = operations(workload.final(()), 10, outcome=Outcome("fail"))
    assert [op.key for op in refused] == ["episode/r0"] * 8 + ["episode/r1"] * 2


def test_weights_and_levels_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValidationError, match="no such level: 'stale' is not known here"):
        MemorySpec(levels={"stale": 1})
    with pytest.raises(ValidationError, match="at least 0, one of them above"):
        MemorySpec(mix={"learn": 0})
    with pytest.raises(ValidationError, match="leaves nothing to delete"):
        MemorySpec(forgotten=0)


def talk(op: Op, reply: dict[str, Any]) -> tuple[dict[str, Any], Outcome]:
    protocol = ReferenceProtocol()
    step: Any = protocol.begin(op, 1.0)
    assert isinstance(step, Request)
    outcome = protocol.receive({"id": step.body["id"], **reply})
    assert isinstance(outcome, Outcome)
    return dict(step.body), outcome


@pytest.mark.parametrize("level", ["eventual", "quorum", "linearizable"])
def test_every_operation_is_a_request_that_the_node_takes(level: str) -> None:
    workload = MemoryWorkload("memory", MemorySpec(texts=50, levels={level: 1}, change_levels={level: 1}))
    for op in [*operations(workload.load(), 60), *operations(workload.final(()), 60)]:
        body, _ = talk(op, {"status": "ok"})
        request = parse(body)
        asked = {"learn": "change", "forget": "delete", "recall": "get", "memory-digest": "digest"}[op.f]
        assert (request.operation, request.level) == (asked, op.level)


LEARN = Op("learn", "fact/f", {"kind": "fact", "record": "f", "fields": {"times_used": 1}}, "quorum", "memory")


def test_answers_are_reported_as_they_are() -> None:
    _, done = talk(LEARN, {"status": "ok", "node": "n2", "dot": ["n2.1.a", 3]})
    assert (done.type, done.value, done.extra) == ("ok", LEARN.value, {"served_by": "n2", "dot": ["n2.1.a", 3]})
    _, unsure = talk(LEARN, {"status": "info", "error": "timeout", "node": "n2"})
    assert (unsure.type, unsure.error) == ("info", "timeout")
    _, refused = talk(LEARN, {"status": "fail", "error": "memory-full"})
    assert (refused.type, refused.error) == ("fail", "memory-full")
    record = {"fields": {"times_used": 1}, "conflicts": {}}
    _, read = talk(
        Op("recall", "fact/f", None, "linearizable"), {"status": "ok", "record": record, "index": 7, "node": "n1"}
    )
    assert (read.type, read.value, read.extra) == ("ok", record, {"served_by": "n1"})
    _, nothing = talk(Op("recall", "fact/f"), {"status": "ok", "record": None, "node": "n1"})
    assert (nothing.type, nothing.value) == ("ok", None)
    _, digest = talk(Op("memory-digest"), {"status": "ok", "digest": "ab", "live": {"fact": 1}, "vector": {}})
    assert digest.value == {"digest": "ab", "live": {"fact": 1}}


def test_a_change_without_an_answer_is_in_doubt_and_a_read_is_not() -> None:
    for op, kind in (
        (LEARN, "info"),
        (Op("forget", "fact/f", {"kind": "fact", "record": "f"}), "info"),
        (Op("recall", "fact/f"), "fail"),
    ):
        protocol = ReferenceProtocol()
        protocol.begin(op, 1.0)
        assert protocol.expire().type == kind


def test_the_section_of_a_campaign_has_times_with_units() -> None:
    assert _memory({"sync": "full_snapshot", "sync_ns": "2s"}) == {"sync": "full_snapshot", "sync_ns": 2_000_000_000}
    assert _memory({"sync_ns": 2_000_000_000}) == {"sync_ns": 2_000_000_000}
    with pytest.raises(ValueError, match="sync"):
        _memory({"sync": "sometimes"})

"""The independent verifier: right orders pass, each kind of wrong one is reported, and witnesses of the checkers hold by themselves."""

from __future__ import annotations

import random
from itertools import permutations
from pathlib import Path

import pytest

from tribulation.checkers import check, verify
from tribulation.checkers.verify import verify_order, verify_witness
from tribulation.histories import History, Operation, Type, parse


def test_the_verifier_is_short_and_knows_no_checker() -> None:
    text = Path(verify.__file__).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 80
    assert not [
        line
        for line in text.splitlines()
        if line.startswith(("from .", "from checkers", "from tribulation import checkers"))
    ]


def test_an_order_is_legal_or_reported_what_is_wrong() -> None:
    operations = parse("p0 w1 | p1 r1   p0 w2").operations()
    assert verify_order(operations, [0, 1, 4], "register") is None
    assert verify_order(operations, [1, 0, 4], "register") == "operation 1 (read) cannot have happened there"
    assert (
        verify_order(operations, [0, 4, 1], "register") == "operation 1 returned before 4 began, but is placed after it"
    )
    assert verify_order(operations, [0, 1], "register") == "operation 4 is missing"
    assert verify_order(operations, [0, 1, 1, 4], "register") == "an operation occurs in it twice"


def _op(index: int, f: str, argument: object = None, result: object = None) -> Operation:
    """The operations of a sequential history: each ends before the next begins."""
    return Operation(0, f, Type.OK, 2 * index, 2 * index + 1, 0, 0, argument, result)


STORIES = {
    "queue": [("enqueue", 1), ("enqueue", 2), ("dequeue", None, 1), ("dequeue", None, 2), ("dequeue", None, None)],
    "stack": [("push", 1), ("push", 2), ("pop", None, 2), ("pop", None, 1), ("pop", None, None)],
    "priority-queue": [("insert", 2), ("insert", 1), ("insert", 3), ("delete-min", None, 1), ("delete-min", None, 2)],
    "priority-queue, the greatest first": [
        ("insert", 2),
        ("offer", 3),
        ("insert", 1),
        ("poll", None, 3),
        ("poll", None, 2),
    ],
    "set": [("add", 1), ("add", 2), ("read", None, [2, 1]), ("remove", 1), ("contains", 1, False), ("read", None, [2])],
    "counter": [("add", 2), ("increment", None), ("read", None, 3), ("decrement", 1), ("read", None, 2)],
    "mutex": [("acquire",), ("release",), ("acquire",)],
    "list": [("read", None, None), ("append", 1), ("append", 2), ("read", None, [1, 2])],
    "text": [
        ("get", None, ""),
        ("append", "a"),
        ("append", "b"),
        ("get", None, "ab"),
        ("put", "c"),
        ("get", None, "c"),
    ],
    "register": [("read", None, None), ("write", 1), ("cas", [1, 2], [1, 2]), ("read", None, 2)],
}


@pytest.mark.parametrize("story", STORIES)
def test_each_specification_reports_a_story_and_no_changed_end_of_it(story: str) -> None:
    model = story.partition(",")[0]
    operations = [_op(number, *reported) for number, reported in enumerate(STORIES[story])]
    order = [op.invoke_index for op in operations]
    assert verify_order(operations, order, model) is None
    assert verify_witness(operations, model) == order
    wrong = _op(len(operations), *{"mutex": ("acquire",)}.get(model, (STORIES[story][-1][0], None, "other")))  # type: ignore[arg-type]
    assert verify_order([*operations, wrong], [*order, wrong.invoke_index], model) is not None
    assert verify_witness([*operations, wrong], model) is None


@pytest.mark.parametrize(
    "text", ["p0 w1 p0 w2 p1 r1", "p0 w1 p1 r_", "p0 w1 p1 r3", "p0 w1 p1[r2 p0 w2 p1] p2 r1", "p0 c_>1 p1 c_>2"]
)
def test_witnesses_of_the_register_checker_hold_by_themselves(text: str) -> None:
    history = parse(text)
    (anomaly,) = check(history, ["linearizable"])["linearizable"].anomalies
    proof = [op for op in history.operations() if op.invoke_index in anomaly.ops]
    assert verify_witness(proof, "register") is None


def test_verify_witness_agrees_with_all_orders_of_random_registers() -> None:
    """Against nothing but permutations: no real-time order is broken, and the register answers right."""
    chance = random.Random(7)
    seen = set()
    for _ in range(300):
        operations = _random_history(chance).operations()
        legal = any(
            verify_order(operations, [op.invoke_index for op in order], "register") is None
            for order in permutations(operations)
        )
        found = verify_witness(operations, "register")
        assert (found is not None) is legal
        seen.add(legal)
    assert seen == {True, False}


def _random_history(chance: random.Random) -> History:
    """Four processes with an operation each, in any overlap."""
    turns = [process for process in range(4) for _ in range(2)]
    chance.shuffle(turns)
    begun: set[int] = set()
    words = []
    for process in turns:
        operation = chance.choice(["w", "r"]) + str(chance.randrange(3))
        words.append(f"p{process}]" if process in begun else f"p{process}[{operation}")
        begun.add(process)
    return parse(" ".join(words))

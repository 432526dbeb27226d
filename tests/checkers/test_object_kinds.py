"""Objects with only reads: no checker accuses an answer that is right of a kind of object that the history does not exclude."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from tribulation.checkers import Verdict, check
from tribulation.checkers.run_all import merge

Event = dict[str, Any]


def done(f: str, argument: Any = None, result: Any = None, key: Any = None, workload: str | None = None) -> list[Event]:
    common = {"process": 0, "f": f, "key": key, **({"workload": workload} if workload else {})}
    return [{**common, "type": "invoke", "value": argument}, {**common, "type": "ok", "value": result}]


def verdicts(*parts: list[Event], model: str | None = None) -> set[Verdict]:
    results = check([event for part in parts for event in part], model=model)
    return {result.verdict for result in results.values()}


@pytest.mark.parametrize("answer", [0, 7, [], [1], {"a": 50, "b": 50}, "text"])
@pytest.mark.parametrize("f", ["read", "get"])
def test_reads_alone_show_no_kind_and_are_not_judged(f: str, answer: Any) -> None:
    assert merge(verdicts(done(f, result=answer))) is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("others", "answer", "verdict"),
    [
        (done("add", 1, None, "x") + done("read", None, 1, "x"), 0, Verdict.VALID),
        (done("add", 1, None, "x") + done("read", None, 1, "x"), 9, Verdict.INVALID),
        (done("increment", None, None, "x"), 0, Verdict.VALID),
        (done("add", 1, None, "x") + done("read", None, [1], "x"), [], Verdict.VALID),
        (done("add", 1, None, "x") + done("read", None, [1], "x"), [9], Verdict.INVALID),
        (done("append", "a", None, "x") + done("get", None, "a", "x"), "", Verdict.VALID),
        (done("write", 1, None, "x"), 9, Verdict.INVALID),
        (done("write", 1, None, "x"), None, Verdict.VALID),
        (done("transfer", {"from": "a", "to": "b", "amount": 1}, None, "x"), {"a": 50}, Verdict.UNKNOWN),
    ],
)
def test_a_key_that_was_only_read_is_of_the_kind_of_its_workload(
    others: list[Event], answer: Any, verdict: Verdict
) -> None:
    read = "get" if others[0]["f"] == "append" else "read"
    results = check([*others, *done(read, None, answer, "y")])
    judged = {name: result.verdict for name, result in results.items()}
    assert judged.get("linearizable", Verdict.UNKNOWN) is verdict or verdict in judged.values(), judged
    assert verdict is Verdict.INVALID or Verdict.INVALID not in judged.values(), judged


def test_a_workload_shows_nothing_of_another_one() -> None:
    written = done("write", 1, None, "x", "registers")
    assert Verdict.INVALID not in verdicts(written, done("read", None, {"a": 50}, "y", "bank"))
    assert Verdict.INVALID in verdicts(written, done("read", None, 9, "y", "registers"))


def test_a_named_model_says_what_was_read() -> None:
    assert verdicts(done("read", result=9), model="register") == {Verdict.INVALID}
    assert verdicts(done("read", result=0), model="counter") == {Verdict.VALID}


def _counter(chance: Random, held: dict[str, Any], key: str) -> list[Event]:
    if chance.random() < 0.3:
        held[key] = held.get(key, 0) + (amount := chance.randrange(1, 4))
        return done("add", amount, None, key)
    return done("read", None, held.get(key, 0), key)


def _bank(chance: Random, held: dict[str, Any], key: str) -> list[Event]:
    balances = held.setdefault(key, {"a": 5, "b": 5})
    if chance.random() < 0.3 and balances["a"]:
        held[key] = {"a": balances["a"] - 1, "b": balances["b"] + 1}
        return done("transfer", {"from": "a", "to": "b", "amount": 1}, None, key)
    return done("read", None, dict(balances), key)


def _set(chance: Random, held: dict[str, Any], key: str) -> list[Event]:
    if chance.random() < 0.3:
        held[key] = (
            [*held.get(key, []), element] if (element := chance.randrange(9)) not in held.get(key, []) else held[key]
        )
        return done("add", element, None, key)
    return done("read", None, list(held.get(key, [])), key)


def _register(chance: Random, held: dict[str, Any], key: str) -> list[Event]:
    if chance.random() < 0.3:
        held[key] = chance.randrange(9)
        return done("write", held[key], None, key)
    return done("read", None, held.get(key), key)


@pytest.mark.parametrize("step", [_counter, _bank, _set, _register])
def test_no_beginning_of_a_right_history_is_invalid(step: Any) -> None:
    """Of any length: at first each key was only read."""
    for seed in range(40):
        chance, held = Random(seed), dict[str, Any]()
        parts = [step(chance, held, chance.choice("xyz")) for _ in range(chance.randrange(1, 9))]
        assert Verdict.INVALID not in verdicts(*parts), (seed, parts)

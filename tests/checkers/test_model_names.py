"""Models by name: what is inferred, which checkers judge, and how `check` and the assertions use them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tribulation.checkers import check
from tribulation.checkers.model_names import ALIASES, MODELS, checkers_of, infer, model_named, prepared
from tribulation.checkers.testing import Inconsistent, Undecided, assert_consistent, assert_linearizable
from tribulation.histories import History, HistoryError, parse
from tribulation.histories.files.codec import event_from_json

INDEX = Path(__file__).parents[2].parent / "shared" / "histories" / "verdicts.json"


def history(*reported: tuple[object, ...]) -> History:
    names = ("process", "type", "f", "value", "key")
    return History(event_from_json(dict(zip(names, one, strict=False)), n) for n, one in enumerate(reported))


def done(f: str, argument: object = None, result: object = None, key: object = None) -> list[tuple[object, ...]]:
    return [(0, "invoke", f, argument, key), (0, "ok", f, result, key)]


TXN_APPEND = [["append", "x", 1], ["r", "x", [1]]]
TXN_WRITE = [["w", "x", 1], ["r", "x", 1]]


@pytest.mark.parametrize(
    ("reported", "model"),
    [
        ([*done("read"), *done("write", 1, 1)], "register"),
        ([*done("read"), *done("cas", [1, 2], [1, 2])], "cas-register"),
        ([*done("read", None, 1, "k"), *done("write", 1, 1, "k")], "kv"),
        ([*done("read", ["k", None], ["k", 1]), *done("write", ["k", 1], ["k", 1])], "kv"),
        ([*done("get", None, "", "k"), *done("append", "a", "a", "k")], "kv-append"),
        ([*done("append", 1, 1), *done("read", None, [1])], "list"),
        ([*done("acquire"), *done("release")], "mutex"),
        ([*done("enqueue", 1, 1), *done("dequeue", None, 1)], "queue"),
        ([*done("push", 1, 1), *done("pop", None, 1)], "stack"),
        ([*done("insert", 1, 1), *done("delete-min", None, 1)], "priority-queue"),
        ([*done("add", 1, 1), *done("read", None, [1])], "set"),
        ([*done("add", 1, 1), *done("read", None, 1)], "counter"),
        ([one for name in sorted(MODELS["counter"].names | MODELS["set"].names) for one in done(name, 1, 1)], "set"),
        ([*done("txn", TXN_APPEND, TXN_APPEND)], "list-append"),
        ([*done("txn", TXN_WRITE, TXN_WRITE)], "rw-register"),
        ([*done("txn", [["r", "x", None], ["r", "y", None]], [["r", "x", [1]], ["r", "y", None]])], "list-append"),
        ([*done("txn", [["r", "x", None]], [["r", "x", 1]])], "rw-register"),
        ([*done("txn", TXN_WRITE + TXN_APPEND)], None),
        ([*done("read"), *done("enqueue", 1)], None),
        ([], None),
    ],
)
def test_the_model_is_inferred_from_names_and_values(reported: list[tuple[object, ...]], model: str | None) -> None:
    assert infer(history(*reported).columns) == model


def test_every_model_has_checkers_and_every_alias_a_model() -> None:
    assert [name for name in MODELS if not checkers_of(name)] == []
    assert [alias for alias, name in ALIASES.items() if name not in MODELS] == []


@pytest.mark.skipif(not INDEX.is_file(), reason="no collection of published histories beside the project")
def test_the_models_of_the_published_verdicts_are_known() -> None:
    assert {
        about["model"] for about in json.loads(INDEX.read_text()).values() if not model_named(about["model"])
    } == set()


def test_keys_in_values_are_taken_apart_for_models_of_keys_only() -> None:
    reported = history(*done("read", ["k", None], ["k", 1]), *done("write", ["k", 1], ["k", 1]))
    assert prepared(reported, "kv").columns.keys == ["k"]
    assert prepared(reported, None).columns.keys == ["k"]
    assert prepared(reported, "register") is reported
    pairs = history(*done("write", [1, 2], [1, 2]), *done("read", None, [1, 2]))
    assert prepared(pairs, "kv") is pairs, "no write has the key of this read: these are values"
    with pytest.raises(HistoryError, match=r"is not \[key, value\]"):
        prepared(history(*done("write", [1, 2, 3], [1, 2, 3])), "kv")


def test_check_takes_a_model_and_judges_each_key_by_itself() -> None:
    stale = history(
        *done("write", ["x", 1], ["x", 1]), *done("write", ["y", 2], ["y", 2]), *done("read", ["x", None], ["x", 2])
    )
    (result,) = check(stale, model="kv").values()
    assert (result.checker, result.verdict.value) == ("linearizable", "invalid")
    with pytest.raises(KeyError, match="no model 'kw'"):
        check(stale, model="kw")


def test_check_takes_arrays_and_columns() -> None:
    listed = [(0, "invoke", "write", 1), (0, "ok", "write", 1), (1, "invoke", "read"), (1, "ok", "read", 2)]
    for source in (listed, History(history(*listed).events).columns):
        assert check(source, "linearizable")["linearizable"].verdict.value == "invalid"
    with pytest.raises(HistoryError, match="event 1 is "):
        check([listed[0], (0, "ok")])


def test_the_assertions_fail_with_the_witness() -> None:
    assert_linearizable(parse("p0 w1 p1 r1"), "register")
    with pytest.raises(Inconsistent, match=r"linearizable: [a-z-]+: .*operations ") as failure:
        assert_linearizable(parse("p0 w1 p1 r_"))
    assert failure.value.results["linearizable"].anomalies


def test_a_history_in_which_nothing_can_be_judged_does_not_pass() -> None:
    with pytest.raises(Undecided):
        assert_linearizable([])
    with pytest.raises(Undecided):
        assert_consistent(parse("p0 w1 p1 r1"), "list-append")

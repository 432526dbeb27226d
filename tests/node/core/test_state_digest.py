"""The digest of the replicated state follows each change: it is that of the state as a whole, and costs what changed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tribulation.node.config.node import NodeConfig
from tribulation.node.core.application.kv import KeyValue
from tribulation.node.core.application.registry import Applications
from tribulation.node.core.application.sessions import Sessions
from tribulation.node.core.application.state_machine import Application
from tribulation.node.core.interface.entry import make_entry
from tribulation.node.core.interface.outbox import Outbox
from tribulation.node.core.interface.signals import Committed, Restore, SnapshotDue, SnapshotTaken
from tribulation.node.core.records import change_sum
from tribulation.node.core.records.change_sum import ABSENT, ChangeSum, sum_of
from tribulation.node.flaws.switch import Flaws

KEYS = st.sampled_from(["a", "b", "c", "é"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, 1.0, "1", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=2),
    max_leaves=4,
)
CHANGES = st.lists(st.tuples(KEYS, VALUES | st.just(ABSENT), st.booleans()), max_size=30)


def text_of(key: str, value: Any) -> str:
    return ascii((key, value))


@given(CHANGES)
def test_the_sum_is_that_of_the_items_whenever_it_is_asked_for(changes: list[tuple[str, Any, bool]]) -> None:
    items: dict[str, Any] = {}
    kept = ChangeSum(text_of)
    for key, value, asked in changes:
        kept.note(key, items.get(key, ABSENT))
        if value is ABSENT:
            items.pop(key, None)
        else:
            items[key] = value
        if asked:
            assert kept.settle(items) == sum_of(text_of, items)
    assert kept.settle(items) == sum_of(text_of, items)


OPS = st.lists(
    st.one_of(
        st.tuples(st.just("w"), KEYS, VALUES),
        st.tuples(st.just("append"), KEYS, VALUES),
        st.tuples(st.just("cas"), KEYS, VALUES, VALUES),
    ).map(list),
    min_size=1,
    max_size=3,
)


@given(st.lists(st.tuples(OPS, st.booleans()), max_size=20))
def test_a_store_has_the_digest_of_one_that_was_restored_from_its_dump(transactions: list[tuple[Any, bool]]) -> None:
    store, again = KeyValue(Flaws()), KeyValue(Flaws())
    for ops, asked in transactions:
        store.transact(ops)
        if asked:
            again.restore(store.dump())
            assert store.digest() == again.digest()
    again.restore(store.dump())
    assert store.digest() == again.digest()


@given(st.lists(st.tuples(st.sampled_from(["open", "use"]), st.integers(1, 6), st.integers(1, 3)), max_size=40))
def test_sessions_have_the_digest_of_their_dump_in_the_order_of_use(steps: list[tuple[str, int, int]]) -> None:
    kept = Sessions(Flaws(), limit=3)
    for index, (what, session, seq) in enumerate(steps, 1):
        if what == "open":
            kept.open(index)
        elif kept.answered(session, seq) is None:
            kept.remember(session, seq, {"index": index}, 0)
        again = Sessions(Flaws(), limit=3)
        again.restore(kept.dump())
        assert kept.digest() == again.digest() == kept.digest_of(kept.dump())


def test_the_order_of_use_counts_for_it_decides_who_is_evicted() -> None:
    one, other = Sessions(Flaws()), Sessions(Flaws())
    for sessions in (one, other):
        sessions.open(1)
        sessions.open(2)
    other.answered(1, 1)
    assert one.digest() != other.digest()


def application(**config: Any) -> Application:
    data = {"node": "n1", "cluster": "c", "peers": {"n1": ["127.0.0.1", 1]}, **config}
    made = NodeConfig.from_json(data)
    return Application(made, Outbox(), Applications(made))


def run(app: Application, *commands: list[Any]) -> None:
    app.signals[Committed](0, Committed([make_entry(app.applied + 1 + i, 1, c) for i, c in enumerate(commands)]))


def restored(app: Application) -> Application:
    app.signals[SnapshotDue](0, SnapshotDue(1))
    (taken,) = [signal for signal in app._out.signals if isinstance(signal, SnapshotTaken)]
    again = application()
    again.signals[Restore](0, Restore(taken.index, taken.text.data))
    return again


def write(seq: int, *ops: list[Any]) -> list[Any]:
    return ["kv.tx", 1, seq, list(ops)]


def test_a_question_hashes_what_changed_and_not_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    app = application()
    run(app, ["sessions.open"])
    for first in range(0, 2000, 200):
        run(app, write(first + 1, *(["w", f"k{i}", i] for i in range(first, first + 200))))
    app.digest()
    hashed: list[str] = []
    honest = change_sum.number_of
    monkeypatch.setattr(change_sum, "number_of", lambda text: hashed.append(text) or honest(text))
    run(app, write(5000, ["w", "k7", "new"]))
    app.digest()
    app.status()
    assert sorted(text for text in hashed if text.startswith('"')) == ['"k7":"new"', '"k7":7']
    assert len(hashed) <= 4, "the session counts too, before and after"


def test_the_digest_names_its_scheme() -> None:
    assert application().digest().startswith("2:")


@settings(max_examples=20)
@given(st.lists(OPS, min_size=1, max_size=20))
def test_a_restored_application_has_the_digest_of_its_snapshot(transactions: list[Any]) -> None:
    app = application()
    run(app, ["sessions.open"], *(write(seq, *ops) for seq, ops in enumerate(transactions, 1)))
    assert restored(app).digest() == app.digest()


@pytest.mark.parametrize("flaw", [None, "digest-skips-key"])
def test_digest_skips_key(flaw: str | None) -> None:
    app = application(flaws=[flaw] if flaw else [])
    run(app, ["sessions.open"], write(1, ["w", "k", 1]))
    app.digest()
    run(app, write(2, ["cas", "k", 1, 2]))
    assert (restored(app).digest() == app.digest()) is (flaw is None)

"""The notation of histories that all checker tests are written in."""

from __future__ import annotations

import pytest

from tribulation.histories import HistoryError, Type, parse


def rows(text: str) -> list[tuple[int, str, str, object, object]]:
    return [(e.process, e.type.value, e.f, e.key, e.value) for e in parse(text)]


def test_sequential_operations():
    assert rows("p0 w1 p1 r1") == [
        (0, "invoke", "write", None, 1),
        (0, "ok", "write", None, 1),
        (1, "invoke", "read", None, None),
        (1, "ok", "read", None, 1),
    ]


def test_a_bar_joins_concurrent_operations():
    assert [(process, kind) for process, kind, *_ in rows("p0 w1 | p1 r_ | p2 w2 p0 r2")] == [
        (0, "invoke"),
        (1, "invoke"),
        (2, "invoke"),
        (0, "ok"),
        (1, "ok"),
        (2, "ok"),
        (0, "invoke"),
        (0, "ok"),
    ]


def test_brackets_keep_an_operation_open():
    history = parse("p0[r p1 w1 p0]1 p2[c1>2 p3[w3")
    read, write, cas, open_write = history.operations()
    assert (read.invoke_index, read.complete_index, read.result) == (0, 3, 1)
    assert (write.invoke_index, write.complete_index) == (1, 2)
    assert (cas.argument, cas.type) == ([1, 2], Type.INFO)
    assert open_write.complete_ns is None


def test_outcomes():
    info, refused, silent, informative, no_quorum = parse(
        "p0 w1? p1 w2! p2 c1>2! p3 c1>2!5 p4 c1>2!no-quorum"
    ).operations()
    assert info.type is Type.INFO
    assert (refused.type, refused.error) == (Type.FAIL, "refused")
    assert (silent.type, silent.error, silent.result) == (Type.FAIL, "mismatch", [1, 2])
    assert (informative.error, informative.result) == ("mismatch", 5)
    assert (no_quorum.error, no_quorum.result) == ("no-quorum", [1, 2])


def test_keys_levels_sets_lists_and_locks():
    ops = parse("p0 x:w1@stale p1 a7 p1 s7,8 p1 s p2 +9 p3 l p3 u p4 walpha p4[s p4]1,2").operations()
    assert (ops[0].key, ops[0].level) == ("x", "stale")
    assert [(op.f, op.argument, op.result) for op in ops[1:]] == [
        ("add", 7, 7),
        ("read", None, [7, 8]),
        ("read", None, []),
        ("append", 9, 9),
        ("acquire", None, None),
        ("release", None, None),
        ("write", "alpha", "alpha"),
        ("read", None, [1, 2]),
    ]


def test_comments_and_lines():
    assert rows("p0 w1   # first\n p0 w2") == rows("p0 w1 p0 w2")


@pytest.mark.parametrize("text", ["w1", "p0", "p0 z1", "p0]", "p0 c1", "p0[x!y"])
def test_what_cannot_be_read_is_refused(text):
    with pytest.raises(HistoryError, match="hint: "):
        parse(text)

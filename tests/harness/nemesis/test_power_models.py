"""What a power loss leaves under the journaled model: always a state that the brute force of `crash_states` allows, and each of them for some draw."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.nemesis.crash_states import BLOCK, Event, Story, contents
from tribulation.harness.agent.fault_disk.tree.journaled import Journaled
from tribulation.harness.agent.fault_disk.tree.nodes import Change, Directory, File
from tribulation.harness.agent.fault_disk.tree.tearing import survivors
from tribulation.harness.agent.fault_disk.tree.tree import Tree

writes = st.tuples(st.integers(0, 5), st.binary(min_size=1, max_size=3).map(lambda data: data.replace(b"\0", b"x")))
events = st.lists(st.one_of(writes, writes, st.integers(0, 7)), max_size=4)
MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None


def left(base: bytes, made: list[Event], draw: int) -> bytes:
    """What the model leaves of a file: durable cuts are done to its bytes when they are made."""
    durable = bytearray(base)
    for event in made:
        if isinstance(event, int):
            resize(durable, event)
    changes = [Change(event, None, durable=True) if isinstance(event, int) else Change(*event) for event in made]
    for change in survivors(len(durable), changes, Random(draw), BLOCK):
        if change.data is None:
            resize(durable, change.offset)
        else:
            durable.extend(bytes(max(0, change.offset + len(change.data) - len(durable))))
            durable[change.offset : change.offset + len(change.data)] = change.data
    return bytes(durable)


def resize(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=5), events, st.integers(0, 2**31))
def test_what_is_left_of_a_file_is_what_a_kernel_may_have_written_back(
    base: bytes, made: list[Event], draw: int
) -> None:
    allowed = contents(base, made)
    for number in range(20):
        assert left(base, made, draw + number) in allowed


@pytest.mark.parametrize(
    ("base", "made"),
    [
        (b"", [(0, b"abcde")]),
        (b"", [(0, b"abc"), (3, b"def")]),
        (b"12345", [(1, b"ab"), (2, b"XY")]),
        (b"123", [(0, b"abcde"), 4, (5, b"Z")]),
        (b"1", [(5, b"ab")]),
        (b"12", [8, (1, b"abc")]),
        (b"", [(4, b"a"), 0, (6, b"b")]),
        (b"", [(0, b"a"), (0, b"b")]),
    ],
)
def test_every_state_that_is_allowed_comes_of_some_draw(base: bytes, made: list[Event]) -> None:
    assert {left(base, made, draw) for draw in range(3000)} == contents(base, made)


@contextmanager
def disk(model: str = "journaled") -> Iterator[Tree]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        backing = os.open(folder, os.O_RDONLY)
        try:
            yield Tree(backing, model)
        finally:
            os.close(backing)


def node(tree: Tree, path: str) -> Any:
    found: Any = tree.root
    for name in filter(None, path.split("/")):
        found = found.names.get(name) if isinstance(found, Directory) else None
    return found


def do(tree: Tree, what: str, *operands: Any) -> None:
    """One step of a story on the tree."""

    def place(path: str) -> tuple[Directory, str]:
        folder, _, name = path.rstrip("/").rpartition("/")
        return node(tree, folder), name

    if what == "sync_names":
        tree.sync_names(tree.root)
        return
    path = operands[0]
    found = node(tree, path)
    if what == "write":
        if found is None:
            found = tree.create(*place(path), 0o644, os.geteuid(), os.getegid())
        tree.write(found, operands[1], operands[2])
    elif what in ("cut", "sync"):
        getattr(tree, what)(found, *operands[1:])
    elif what == "rename":
        tree.rename(*place(path), *place(operands[1]))
    elif what == "link":
        tree.link(found, *place(operands[1]))
    elif what == "make_directory":
        tree.make_directory(*place(path), 0o755, os.geteuid(), os.getegid())
    else:
        getattr(tree, what)(*place(path))


def seen(tree: Tree) -> dict[str, bytes]:
    names = tree.names().items()
    return {
        path if isinstance(one, File) else f"{path}/": tree.read(one, 0, one.size) if isinstance(one, File) else b""
        for path, one in names
    }


def reported(steps: list[tuple[Any, ...]]) -> tuple[Story, list[tuple[Any, ...]]]:
    """The story of those steps that are no errors, and these."""
    story = Story()
    return story, [step for step in steps if story.do(*step)]


def crashed(steps: list[tuple[Any, ...]], draw: int, model: str = "journaled") -> dict[str, bytes]:
    with disk(model) as tree:
        for step in steps:
            do(tree, *step)
        tree.lose(draw)
        tree.renew()
        return seen(tree)


files = st.sampled_from(("a", "b", "d/a"))
steps = st.one_of(
    st.tuples(st.just("write"), files, st.integers(0, 3), st.binary(min_size=1, max_size=3)),
    st.tuples(st.just("cut"), files, st.integers(0, 4)),
    st.tuples(st.just("sync"), files),
    st.tuples(st.just("rename"), files, files),
    st.tuples(st.just("unlink"), files),
    st.tuples(st.just("link"), files, files),
    st.tuples(st.just("make_directory"), st.just("d/")),
    st.tuples(st.just("remove_directory"), st.just("d/")),
    st.tuples(st.just("sync_names")),
)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Journaled, "block", BLOCK)


@settings(max_examples=200, deadline=None)
@given(st.lists(steps, max_size=7), st.integers(0, 2**31))
def test_a_power_loss_leaves_a_prefix_of_the_names_and_what_may_be_left_of_the_files(
    made: list[tuple[Any, ...]], draw: int
) -> None:
    story, made = reported(made)
    allowed = list(story.states())
    for number in range(4):
        with disk() as tree:
            for step in made:
                do(tree, *step)
            assert seen(tree) == story.seen()
            tree.lose(draw + number)
            assert seen(tree) == story.seen(), "a daemon that is not killed after all serves what it did"
            tree.renew()
            assert seen(tree) in allowed
        with disk() as tree:
            for step in made:
                do(tree, *step)
            tree.lose(draw + number)
            tree.sync_all()
            tree.renew()
            assert seen(tree) == story.seen(), "and loses nothing by it"


WAL = [
    ("write", "wal.tmp", 0, b"\0" * 6),
    ("sync", "wal.tmp"),
    ("write", "wal.tmp", 0, b"head"),
    ("sync", "wal.tmp"),
    ("rename", "wal.tmp", "wal"),
    ("write", "wal", 4, b"xy"),
]


@pytest.mark.parametrize(
    "made",
    [
        WAL,
        [("make_directory", "d/"), ("write", "d/a", 0, b"abc"), ("rename", "d/a", "b"), ("remove_directory", "d/")],
        [("write", "a", 0, b"old"), ("sync", "a"), ("write", "b", 0, b"new"), ("rename", "b", "a")],
        [("write", "a", 0, b"abcd"), ("sync", "a"), ("cut", "a", 1), ("write", "a", 1, b"X"), ("write", "b", 0, b"c")],
        [("write", "a", 0, b"abc"), ("cut", "a", 6), ("write", "b", 0, b"x"), ("sync", "b"), ("write", "a", 5, b"z")],
        [("write", "a", 0, b"ab"), ("link", "a", "b"), ("unlink", "a"), ("sync_names",), ("unlink", "b")],
    ],
)
def test_every_state_of_a_whole_disk_that_is_allowed_comes_of_some_draw(made: list[tuple[Any, ...]]) -> None:
    story, same = reported(made)
    assert same == made
    allowed, met = list(story.states()), []
    for draw in range(2500):
        state = crashed(made, draw)
        assert state in allowed
        met += [] if state in met else [state]
        if len(met) == len({tuple(sorted(one.items())) for one in allowed}):
            return
    raise AssertionError([state for state in allowed if state not in met])


def test_a_synced_file_keeps_its_name_and_a_later_rename_leads_to_a_whole_version_by_either() -> None:
    made = [
        ("write", "log", 0, b"one"),
        ("sync", "log"),
        ("write", "log.new", 0, b"two"),
        ("sync", "log.new"),
        ("rename", "log.new", "log"),
    ]
    states = [crashed(made, draw) for draw in range(60)]
    assert {tuple(sorted(state.items())) for state in states} == {
        (("log", b"one"), ("log.new", b"two")),
        (("log", b"two"),),
    }
    assert crashed(made, 1, "strict") == {}, "no directory was synced"


def test_a_rename_over_a_file_whose_successor_was_not_synced_may_leave_an_empty_one() -> None:
    """As on XFS; ext4 writes the successor out at the rename, unless it is mounted with noauto_da_alloc."""
    made = [("write", "a", 0, b"old"), ("sync", "a"), ("write", "b", 0, b"new"), ("rename", "b", "a")]
    assert {crashed(made, draw).get("a") for draw in range(200)} >= {b"old", b"new", b""}


def test_a_sync_of_any_file_makes_earlier_names_durable_and_no_later_ones() -> None:
    made = [("write", "a", 0, b"x"), ("make_directory", "d/"), ("write", "b", 0, b"y"), ("sync", "b"), ("unlink", "a")]
    for draw in range(40):
        state = crashed(made, draw)
        assert {"b", "d/"} <= set(state) and state["b"] == b"y"
    assert {"a" in crashed(made, draw) for draw in range(40)} == {True, False}


def test_a_failed_sync_makes_nothing_durable_and_the_same_draw_is_the_same_loss() -> None:
    made = [("write", "a", 0, b"x"), ("sync_names",), ("write", "b", 0, b"y"), ("rename", "a", "c")]
    with disk() as tree:
        for step in made:
            do(tree, *step)
        tree.fail_sync(node(tree, "b"))
        tree.crash()
        assert seen(tree) == {"a": b""}
    assert [crashed(made, draw) for draw in range(20)] == [crashed(made, draw) for draw in range(20)]


def test_what_a_failed_sync_lost_reaches_the_disk_by_no_draw() -> None:
    for draw in range(30):
        with disk() as tree:
            do(tree, "write", "a", 0, b"one")
            tree.sync_all()
            do(tree, "write", "a", 3, b"two")
            tree.fail_sync(node(tree, "a"))
            do(tree, "write", "a", 6, b"x")
            lost = tree.lose(draw)
            tree.renew()
            assert seen(tree)["a"] in (b"one", b"one\0", b"one\0\0\0x") and lost["lost_bytes"] >= 3


def test_a_file_that_is_open_outlives_its_name() -> None:
    for model in ("strict", "journaled"):
        with disk(model) as tree:
            do(tree, "write", "a", 0, b"open")
            tree.sync_all()
            file = node(tree, "a")
            file.lookups = 1
            do(tree, "unlink", "a")
            do(tree, "write", "b", 0, b"x")
            tree.sync_all()
            assert tree.read(file, 0, 4) == b"open"
            tree.forget(file.number, 1)
            tree.crash()
            assert seen(tree) == {"b": b"x"}


def test_a_new_directory_makes_the_names_around_it_durable_under_the_strict_model() -> None:
    with disk("strict") as tree:
        do(tree, "write", "a", 0, b"x")
        tree.sync(node(tree, "a"))
        do(tree, "make_directory", "d/")
        tree.crash()
        assert seen(tree) == {"a": b"x", "d/": b""}


def test_what_was_lost_is_named() -> None:
    made = [("write", "a", 0, b"kept"), ("sync", "a"), ("rename", "a", "b"), ("write", "b", 4, b"more")]
    with disk() as tree:
        for step in made:
            do(tree, *step)
        assert tree.lose() == {
            "model": "journaled",
            "unsynced_bytes": 4,
            "lost_bytes": 4,
            "lost_names": ["b"],
            "lost_name_count": 1,
            "back_names": ["a"],
            "torn": [],
        }
    with disk() as tree:
        for step in [("write", "a", 0, b"old"), ("sync", "a"), ("write", "b", 0, b"new"), ("rename", "b", "a")]:
            do(tree, *step)
        lost = tree.lose()
        assert lost["lost_names"] == ["a"] and lost["back_names"] == [], "it leads to the old file"
    with disk() as tree:
        do(tree, "write", "a", 0, b"12345678")
        torn = [found for draw in range(60) if (found := tree.lose(draw)["torn"])]
        assert {"file": "a", "lost_bytes": 2, "of_bytes": 8} in [one for found in torn for one in found]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31))
def test_a_crash_that_is_a_fault_of_its_own_loses_something(draw: int) -> None:
    for made in ([("write", "a", 0, b"x")], [("make_directory", "d/")], [("cut", "a", 0)]):
        with disk() as tree:
            do(tree, "write", "a", 0, b"abcdef")
            tree.sync_all()
            do(tree, *made[0])
            before = seen(tree)
            tree.crash(draw)
            assert seen(tree) != before


def test_a_journal_that_is_never_synced_is_committed_in_its_order() -> None:
    with disk() as tree:
        for number in range(4100):
            do(tree, "write", f"f{number}", 0, b"x")
        tree.crash()
        left_over = seen(tree)
        assert 2048 <= len(left_over) < 4100 and set(left_over) == {f"f{number}" for number in range(len(left_over))}

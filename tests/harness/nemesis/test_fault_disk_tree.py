"""What of a fault disk survives a crash, against the plainest model there is: every file twice, every directory twice."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tribulation.harness.agent.fault_disk import decay
from tribulation.harness.agent.fault_disk.decay import Decay
from tribulation.harness.agent.fault_disk.tree.nodes import Change, File
from tribulation.harness.agent.fault_disk.tree.tree import Tree

NAMES = ("a", "b", "c")
names = st.sampled_from(NAMES)
operations = st.one_of(
    st.tuples(st.just("write"), names, st.integers(0, 12), st.binary(min_size=1, max_size=6)),
    st.tuples(st.just("cut"), names, st.integers(0, 12)),
    st.tuples(st.just("sync"), names),
    st.tuples(st.just("fail_sync"), names),
    st.tuples(st.just("rename"), names, names),
    st.tuples(st.just("unlink"), names),
    st.tuples(st.just("link"), names, names),
    st.tuples(st.just("sync_names")),
    st.tuples(st.just("crash")),
)


@contextmanager
def tree() -> Iterator[tuple[Tree, str, str]]:
    """Over a directory of its own; and a directory next to it."""
    with tempfile.TemporaryDirectory() as folder:
        data, state = f"{folder}/data", f"{folder}/state"
        os.mkdir(data)
        os.mkdir(state)
        backing = os.open(data, os.O_RDONLY)
        try:
            yield Tree(backing), data, state
        finally:
            os.close(backing)


def make(made: Tree, name: str, content: bytes) -> File:
    file = made.create(made.root, name, 0o644, os.geteuid(), os.getegid())
    made.write(file, 0, content)
    return file


def seen(made: Tree) -> dict[str, bytes]:
    return {path: made.read(file, 0, file.size) for path, file in made.files()}


@dataclass
class Twice:
    """A file of the model. `pending` are its changes, and whether each will ever be written."""

    cached: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None, bool]] = field(default_factory=list)

    def change(self, offset: int, data: bytes | None) -> None:
        decay._apply(self.cached, offset, data)
        self.pending.append((offset, data, True))

    def sync(self) -> None:
        for offset, data, will in self.pending:
            if will:
                decay._apply(self.durable, offset, data)
        self.pending = []


class Model:
    def __init__(self) -> None:
        self.names: dict[str, Twice] = {}
        self.durable: dict[str, Twice] = {}

    def crash(self) -> None:
        self.names = dict(self.durable)
        for file in self.names.values():
            file.cached, file.pending = bytearray(file.durable), []

    def files(self) -> dict[str, bytes]:
        return {name: bytes(file.cached) for name, file in self.names.items()}

    def do(self, what: str, *operands: object) -> None:
        name = str(operands[0]) if operands else ""
        file = self.names.get(name)
        if what == "sync_names":
            self.durable = dict(self.names)
        elif what == "crash":
            self.crash()
        elif what == "write":
            assert isinstance(operands[1], int) and isinstance(operands[2], bytes)
            self.names.setdefault(name, Twice()).change(operands[1], operands[2])
        elif file is None:
            return
        elif what == "cut":
            assert isinstance(operands[1], int)
            file.change(operands[1], None)
        elif what == "sync":
            file.sync()
        elif what == "fail_sync":
            file.pending = [(offset, data, False) for offset, data, _ in file.pending]
        elif what == "unlink":
            del self.names[name]
        elif what == "rename":
            if self.names.get(str(operands[1])) is not file:
                self.names[str(operands[1])] = self.names.pop(name)
        elif what == "link":
            self.names.setdefault(str(operands[1]), file)


def do(made: Tree, what: str, *operands: object) -> None:
    """The same on the tree. What the kernel would refuse before it asks is left out."""
    root = made.root
    if what == "sync_names":
        made.sync_names(root)
        return
    if what == "crash":
        made.crash()
        return
    name = str(operands[0])
    file = root.names.get(name)
    if what == "write" and file is None:
        file = made.create(root, name, 0o644, os.geteuid(), os.getegid())
    if not isinstance(file, File):
        return
    if what == "write":
        assert isinstance(operands[1], int) and isinstance(operands[2], bytes)
        made.write(file, operands[1], operands[2])
    elif what == "cut":
        assert isinstance(operands[1], int)
        made.cut(file, operands[1])
    elif what == "sync":
        made.sync(file)
    elif what == "fail_sync":
        made.fail_sync(file)
    elif what == "unlink":
        made.unlink(root, name)
    elif what == "rename":
        made.rename(root, name, root, str(operands[1]))
    elif what == "link" and str(operands[1]) not in root.names:
        made.link(file, root, str(operands[1]))


@settings(max_examples=150, deadline=None)
@given(st.lists(operations, max_size=25))
def test_readers_see_everything_and_a_crash_leaves_what_was_synced(steps: list[tuple[object, ...]]) -> None:
    model = Model()
    with tree() as (made, data, _):
        for step in steps:
            model.do(*step)  # type: ignore[arg-type]
            do(made, *step)  # type: ignore[arg-type]
            assert seen(made) == model.files(), step
        # The daemon dies: another finds what is in the directory, and nothing else.
        model.crash()
        backing = os.open(data, os.O_RDONLY)
        try:
            assert seen(Tree(backing)) == model.files()
        finally:
            os.close(backing)


def test_a_synced_file_without_a_synced_name_is_gone_and_its_name_makes_it_stay() -> None:
    with tree() as (made, _, _):
        for name in ("lost", "kept"):
            made.sync(make(made, name, b"bytes"))
            if name == "kept":
                made.sync_names(made.root)
                made.rename(made.root, "kept", made.root, "renamed")
        made.unlink(made.root, "lost")
        assert made.crash()["lost_bytes"] == 0, "all that was written was synced, or has no name"
        assert seen(made) == {"kept": b"bytes", "lost": b"bytes"}, "the rename and the removal were not synced"


def test_a_sync_of_what_is_unchanged_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL syncs its thousand files when it recovers: half a minute on a busy host."""
    with tree() as (made, _, _):
        file = make(made, "log", b"one")
        made.sync(file)
        monkeypatch.setattr(os, "fdatasync", lambda descriptor: pytest.fail("it was synced again"))
        made.sync(file)
        made.sync_all()


def test_what_a_failed_sync_lost_is_seen_and_never_written() -> None:
    with tree() as (made, _, _):
        file = make(made, "log", b"one")
        made.sync(file)
        made.sync_names(made.root)
        made.write(file, 3, b"two")
        made.fail_sync(file)
        made.write(file, 6, b"three")
        made.sync(file)
        assert seen(made) == {"log": b"onetwothree"}
        made.crash()
        assert seen(made) == {"log": b"one\0\0\0three"}


def test_a_torn_write_survives_in_part() -> None:
    whole, parts = b"x" * 3000, set()
    for number in range(40):
        with tree() as (made, _, _):
            file = make(made, "log", b"begin")
            made.sync(file)
            made.sync_names(made.root)
            made.write(file, 5, whole)
            reported = decay.torn(made, Random(number))
            left = seen(made)["log"]
            assert left.startswith(b"begin") and left[5:].count(b"x") == len(whole) - reported["torn_bytes"] < len(
                whole
            )
            parts.add(bytes(left))
    assert len(parts) > 10


@pytest.mark.parametrize("effect", ["bit-rot", "misdirected-write", "truncate"])
def test_damage_is_written_down_first_and_repaired_unless_it_was_written_over(effect: str) -> None:
    for number in range(20):
        with tree() as (made, _, state):
            content = bytes(Random(number).randbytes(2000))
            make(made, "log", content)
            make(made, "other", content[::-1])
            made.sync_all()
            damage = Decay(made, state)
            before = seen(made)
            records = damage.damage("d.1", effect, number)
            assert records and seen(made) != before
            assert damage.damage("d.1", effect, number) == [], "an agent that is not sure asks twice"
            assert all(record["still"] for record in Decay(made, state).records()), "known to the next daemon too"
            if number % 2:
                path = records[0]["file"]
                file = dict(made.files())[path]
                made.write(file, records[0]["offset"], b"written over")
                made.sync(file)
                after = seen(made)[path]
                damage.repair(["d.1"])
                assert seen(made)[path] == after or effect == "misdirected-write"
            else:
                damage.repair(["d.1"])
                assert seen(made) == before
            assert damage.records() == []


def test_a_misdirected_write_never_makes_a_log_look_as_if_its_last_write_had_never_been() -> None:
    for number in range(100):
        with tree() as (made, _, state):
            make(made, "log", b"a" * 512)
            file = dict(made.files())["log"]
            made.write(file, 512, b"b" * 512)
            made.sync_all()
            Decay(made, state).damage("d.1", "misdirected-write", number)
            assert seen(made)["log"][512:].strip(b"\0"), "the last write is damaged, not gone"


def test_a_file_is_never_cut_just_where_a_write_had_ended() -> None:
    for number in range(30):
        with tree() as (made, _, state):
            file = make(made, "log", b"12345")
            for at in range(5, 45, 2):
                made.write(file, at, b"ab")
            made.sync_all()
            (record,) = Decay(made, state).damage("d.1", "truncate", number)
            assert record["offset"] in (*range(1, 5), *range(6, 45, 2))


def test_a_backup_comes_back_whole_and_the_disk_remembers_that_it_forgot() -> None:
    with tree() as (made, _, state):
        damage = Decay(made, state)
        make(made, "log", b"old")
        made.sync_all()
        old = seen(made)
        damage.back_up("b")
        make(made, "more", b"new")
        made.sync_all()
        assert not damage.forgot and damage.restore("b") == 1
        assert seen(made) == old and Decay(made, state).forgot
        assert damage.drop_backup("b") and not damage.drop_backup("b")


def test_what_is_not_synced_for_long_is_written_back() -> None:
    with tree() as (made, _, _):
        file = make(made, "big", b"")
        made.sync_names(made.root)
        for number in range(33):
            made.write(file, number << 20, bytes(1 << 20))
        assert made.pending_bytes() < 33 << 20 and Change(0, b"") not in file.pending
        assert made.crash()["lost_bytes"] < 33 << 20 and seen(made)["big"].startswith(bytes(1 << 20))

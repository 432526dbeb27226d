"""The disk model: what survives a dead process, what survives a power loss."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tribulation.harness.simulator.disk.disk import Disk


def outcomes(prepare, runs: int = 300) -> set[tuple[tuple[str, bytes], ...]]:
    """Every set of files that some power loss left after `prepare`."""
    seen = set()
    for seed in range(runs):
        disk = Disk(seed, 1)
        prepare(disk)
        disk.power_loss()
        seen.add(tuple(sorted(disk.files().items())))
    return seen


def test_synced_data_under_a_synced_name_always_survives():
    def prepare(disk: Disk) -> None:
        disk.append("log", b"abc")
        disk.fsync("log")
        disk.fsync_dir()

    assert outcomes(prepare) == {(("log", b"abc"),)}


def test_a_synced_file_whose_name_was_never_synced_may_vanish():
    def prepare(disk: Disk) -> None:
        disk.append("log", b"abc")
        disk.fsync("log")

    assert outcomes(prepare) == {(), (("log", b"abc"),)}


def test_unsynced_appends_may_be_lost_kept_in_part_or_out_of_order():
    def prepare(disk: Disk) -> None:
        disk.append("log", b"ab")
        disk.fsync("log")
        disk.fsync_dir()
        disk.append("log", b"cd")
        disk.append("log", b"ef")

    contents = {dict(files)["log"] for files in outcomes(prepare)}
    assert all(content.startswith(b"ab") for content in contents)
    assert {b"ab", b"abcd", b"abcdef", b"abc", b"abcde"} <= contents
    assert b"ab\0\0ef" in contents, "the second write alone leaves a hole of zeros"


def test_a_rename_without_fsync_of_the_file_may_leave_an_empty_file():
    def prepare(disk: Disk) -> None:
        disk.write("old", b"1")
        disk.fsync("old")
        disk.fsync_dir()
        disk.write("new.tmp", b"2")
        disk.rename("new.tmp", "old")

    contents = {dict(files).get("old") for files in outcomes(prepare)}
    assert contents == {b"1", b"2", b""}


def test_a_synced_file_renamed_over_another_is_old_or_new_and_nothing_else():
    def prepare(disk: Disk) -> None:
        disk.write("old", b"1")
        disk.fsync("old")
        disk.fsync_dir()
        disk.write("new.tmp", b"2")
        disk.fsync("new.tmp")
        disk.rename("new.tmp", "old")

    assert {dict(files)["old"] for files in outcomes(prepare)} == {b"1", b"2"}


def test_large_writes_tear_at_sectors():
    def prepare(disk: Disk) -> None:
        disk.append("log", b"x" * 2048)
        disk.fsync_dir()

    contents = {dict(files)["log"] for files in outcomes(prepare)}
    assert any(b"\0" * 512 in c and c.endswith(b"x" * 512) for c in contents)
    assert b"x" * 2048 in contents and b"" in contents


def test_after_a_failed_fsync_readers_see_bytes_that_no_later_fsync_makes_durable():
    disk = Disk(1, 1)
    disk.append("log", b"abc")
    disk.fsync_dir()
    disk.fsync_failed("log")
    assert disk.files() == {"log": b"abc"}
    disk.fsync("log")
    disk.power_loss()
    assert disk.files() == {"log": b""}


OPS = st.lists(
    st.tuples(st.sampled_from(["append", "write", "fsync", "truncate"]), st.binary(max_size=8), st.integers(0, 12)),
    max_size=20,
)


@given(OPS, st.integers(0, 1 << 32))
def test_a_power_loss_right_after_fsync_loses_nothing(ops, seed):
    disk = Disk(seed, 1)
    disk.append("f", b"")
    for kind, data, size in ops:
        if kind == "append":
            disk.append("f", data)
        elif kind == "write":
            disk.write("f", data)
        elif kind == "truncate":
            disk.truncate("f", size)
        else:
            disk.fsync("f")
    disk.fsync("f")
    disk.fsync_dir()
    before = disk.files()
    disk.power_loss()
    assert disk.files() == before
    assert disk.durable_bytes("f") == before["f"]

"""Merging of fsyncs, as data; the thread itself is under the drivers' conformance suite."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tribulation.node.core.interface.effects import Append, Fsync, FsyncDir, Rename, StorageEffect
from tribulation.node.runtime.disk.storage import Job, merge_fsyncs


def test_neighbouring_fsyncs_become_one() -> None:
    batch = [Append(1, "log", b"a"), Fsync(2, "log"), Append(3, "log", b"b"), Fsync(4, "log"), Fsync(5, "log")]
    assert merge_fsyncs(batch) == [Job(batch[0]), Job(batch[2]), Job(batch[4], (2, 4))]


def test_an_fsync_that_something_waits_for_stays() -> None:
    batch = [Fsync(1, "log"), Append(2, "log", b"b", after=(1,)), Fsync(3, "log")]
    assert merge_fsyncs(batch) == [Job(effect) for effect in batch]


def test_other_files_and_names_are_not_crossed() -> None:
    for between in (Append(2, "snapshot", b"x"), Fsync(2, "snapshot"), Rename(2, "log", "old"), FsyncDir(2)):
        batch: list[StorageEffect] = [Fsync(1, "log"), between, Fsync(3, "log")]
        assert merge_fsyncs(batch) == [Job(effect) for effect in batch]


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["a", "b"])), max_size=20))
def test_every_operation_is_done_once_and_fsyncs_cover_what_they_covered(plan: list[tuple[bool, str]]) -> None:
    batch: list[StorageEffect] = [
        Fsync(op, file) if sync else Append(op, file, b"x") for op, (sync, file) in enumerate(plan)
    ]
    jobs = merge_fsyncs(batch)
    assert sorted(op for job in jobs for op in (*job.merged, job.effect.op)) == list(range(len(batch)))
    order = [job.effect.op for job in jobs]
    assert order == sorted(order)
    for job in jobs:
        for op in job.merged:
            covered = batch[op]
            assert isinstance(covered, Fsync) and isinstance(job.effect, Fsync)
            assert covered.file == job.effect.file and op < job.effect.op

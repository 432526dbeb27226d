"""A recorder whose disk is full: nothing is raised, and what is in the file is the beginning of the history."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tribulation.histories import Recorder, read_history


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """As on a disk with so much space: a write beyond is short, the next one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_the_disk_does_not_take_is_remembered_and_the_rest_left_out(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    with Recorder(path) as recorder:
        recorder.record(1, 0, "invoke", "write", 1)
        assert recorder.failure is None
        with files_of_at_most(path.stat().st_size * 2 + 10):
            recorder.record(2, 0, "ok", "write", 1)
            recorder.record(3, 0, "invoke", "write", 2)
        assert recorder.failure is not None and recorder.failure.strerror == "File too large"
        # There is space again, but an event is missing: what follows it would be no beginning of the history.
        assert recorder.record(4, 0, "ok", "write", 2).index == 3
    history = read_history(path)
    assert [event.index for event in history.events] == [0, 1]
    assert history.torn is not None

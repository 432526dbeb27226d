"""Collection of the hosts' files into the run's folder, one by one: a file that cannot be fetched does not affect the others, and is reported.

missed = collect(hosts, service, run_dir)      # [{"host", "file", "why"}]; file "*" if the host did not list its files

A host names its files itself, and may be malicious: each name must be one below the run's folder (`inside_folder.py`), and files are limited in
number and size.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import TribulationError
from ..hosts.base import Host, InParts
from ..hosts.parallel import on_all
from ..systems.base import KeepsFiles, Service
from . import inside_folder
from .seal import place_of
from .writing import writing

PART_BYTES = 16 << 20
"""The part of a file that is in memory at a time."""
HOST_FILES = 4096
FILE_BYTES = 2 << 30
HOST_BYTES = 8 << 30
"""The most that is taken from one host. If a run has more, the rest is missing evidence."""

COLLECT_S = 600.0
LEAST_RATE = 1 << 20
"""How long a host may take: this time, and as long as its bytes take at this many a second. Each part has a limit, but a host may have thousands."""

ALL = "*"
TRACE = "trace.jsonl"


class _Patience:
    """Patience with one host. `hurried`: the user waits no longer."""

    def __init__(self, hurried: Callable[[], bool]) -> None:
        self._hurried, self._began_s, self._bytes = hurried, time.monotonic(), 0

    def over(self, came: int = 0) -> str | None:
        """Return why no more is fetched, after as many bytes; None while it is."""
        self._bytes += came
        took_s = time.monotonic() - self._began_s
        if self._hurried():
            return "the user ended the command twice"
        if took_s > COLLECT_S + self._bytes / LEAST_RATE:
            return f"the host is too slow: {self._bytes} bytes in {took_s:.0f} s"
        return None


def collect(
    hosts: Sequence[Host], service: Service, run_dir: Path, hurried: Callable[[], bool] = lambda: False
) -> list[dict[str, str]]:
    """Collect, until the user is `hurried`; returns the files that could not be fetched. Raises nothing."""
    missed: list[dict[str, str]] = []
    for result in on_all(hosts, lambda host: _collect_from(host, service, run_dir, _Patience(hurried))):
        missed += [_missed(result.host, ALL, result.error)] if result.error is not None else result.value
    return missed


def _collect_from(host: Host, service: Service, run_dir: Path, patience: _Patience) -> list[dict[str, str]]:
    found: Mapping[str, Any]
    found = dict(service.kept_files(host) if isinstance(service, KeepsFiles) else service.collect(host))
    # The trace first: verdicts need it, and the limits hold for all files of the host together.
    names = sorted(found, key=lambda name: (name != TRACE, name))
    missed, left = [], HOST_BYTES
    for count, name in enumerate(names[:HOST_FILES]):
        if (why := patience.over()) is not None:
            missed.append(
                {"host": host.name, "file": ALL, "why": f"{len(names) - count} files were not fetched: {why}"}
            )
            return missed
        try:
            with _new_file(run_dir, place_of(host.name, name)) as file:
                left -= _bring(host, found[name], file, left, patience)
        except Exception as error:  # a user's service may return anything
            missed.append(_missed(host.name, name, error))
    if (over := len(names) - HOST_FILES) > 0:
        why = f"{over} files more than the {HOST_FILES} that are taken from a host"
        missed.append({"host": host.name, "file": ALL, "why": why})
    return missed


@contextmanager
def _new_file(run_dir: Path, name: str) -> Iterator[BinaryIO]:
    """A new file, removed when writing it fails: half a file would be taken for all of it."""
    with writing(run_dir / "collected"), inside_folder.create(run_dir, name) as file:
        try:
            yield file
        except BaseException:
            inside_folder.place(run_dir, name).unlink()
            raise


def _bring(host: Host, what: bytes | str, file: BinaryIO, left: int, patience: _Patience) -> int:
    """Write `what`, the content or the path on the host. At most `left` bytes; returns the number of bytes. Raises `ValueError` when there are more, `TimeoutError` when
    they come too slowly."""
    most, size = min(FILE_BYTES, left), 0
    for part in _parts(host, what):
        size += len(part)
        if size > most:
            raise ValueError(f"more than {most} bytes: {FILE_BYTES} are taken of a file, {HOST_BYTES} of a host")
        file.write(part)
        if (why := patience.over(len(part))) is not None:
            raise TimeoutError(why)
    return size


def _parts(host: Host, what: bytes | str) -> Iterator[bytes]:
    if isinstance(what, bytes):
        yield what
        return
    if not isinstance(host, InParts):
        yield host.get(what)
        return
    offset = 0
    while part := host.get_part(what, offset, PART_BYTES):
        if len(part) > PART_BYTES:
            raise ValueError(f"the host gave {len(part)} bytes, more than it was asked for")
        yield part
        offset += len(part)
        if len(part) < PART_BYTES:
            return


def _missed(host: str, name: str, error: Exception) -> dict[str, str]:
    why = error.message if isinstance(error, TribulationError) else f"{type(error).__name__}: {error}"
    return {"host": host, "file": inside_folder.shown(name), "why": why}

"""Brings the files of hosts into the run's folder, one by one: a file that cannot be fetched does not affect the others, and is reported.

missed = collect(hosts, service, run_dir)      # [{"host", "file", "why"}]; file "*" if the host did not list its files

A host names its files itself, and may be malicious: each name must be one below the run's folder (`inside_folder.py`), and files are limited in number and size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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

ALL = "*"
TRACE = "trace.jsonl"


def collect(hosts: Sequence[Host], service: Service, run_dir: Path) -> list[dict[str, str]]:
    """Collect; returns the files that could not be fetched. Raises nothing."""
    missed: list[dict[str, str]] = []
    for result in on_all(hosts, lambda host: _collect_from(host, service, run_dir)):
        missed += [_missed(result.host, ALL, result.error)] if result.error is not None else result.value
    return missed


def _collect_from(host: Host, service: Service, run_dir: Path) -> list[dict[str, str]]:
    found: Mapping[str, Any]
    found = dict(service.kept_files(host) if isinstance(service, KeepsFiles) else service.collect(host))
    # The trace first: verdicts need it, and the limits hold for all files of the host together.
    names = sorted(found, key=lambda name: (name != TRACE, name))
    missed, left = [], HOST_BYTES
    for name in names[:HOST_FILES]:
        try:
            with _new_file(run_dir, place_of(host.name, name)) as file:
                left -= _bring(host, found[name], file, left)
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


def _bring(host: Host, what: bytes | str, file: BinaryIO, left: int) -> int:
    """Write `what`, the content or the path on the host. At most `left` bytes; returns the number of bytes. Raises `ValueError` when there are more."""
    most, size = min(FILE_BYTES, left), 0
    for part in _parts(host, what):
        size += len(part)
        if size > most:
            raise ValueError(f"more than {most} bytes: {FILE_BYTES} are taken of a file, {HOST_BYTES} of a host")
        file.write(part)
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

"""Brings the files of hosts into the run's folder, each by itself: one that cannot be had costs no other, and is named.

missed = collect(hosts, service, run_dir)      # [{"host", "file", "why"}]; file "*" when the host's files are not even known
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import TribulationError
from ..hosts.base import Host, InParts
from ..hosts.parallel import on_all
from ..systems.base import KeepsFiles, Service
from .seal import place_of
from .writing import writing

PART_BYTES = 16 << 20
"""So much of a file is in memory at a time."""

ALL = "*"


def collect(hosts: Sequence[Host], service: Service, run_dir: Path) -> list[dict[str, str]]:
    """What could not be had. Raises nothing."""
    missed: list[dict[str, str]] = []
    for result in on_all(hosts, lambda host: _collect_from(host, service, run_dir)):
        missed += [_missed(result.host, ALL, result.error)] if result.error is not None else result.value
    return missed


def _collect_from(host: Host, service: Service, run_dir: Path) -> list[dict[str, str]]:
    found: Mapping[str, Any]
    found = dict(service.kept_files(host) if isinstance(service, KeepsFiles) else service.collect(host))
    missed = []
    for name, what in sorted(found.items()):
        path = run_dir / place_of(host.name, name)
        try:
            _refuse_outside(name)
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                _bring(host, what, path)
        except Exception as error:  # what a service of a user's gives may be anything
            path.unlink(missing_ok=True)
            missed.append(_missed(host.name, name, error))
    return missed


def _bring(host: Host, what: bytes | str, path: Path) -> None:
    """`what` is the content, or the path on the host."""
    if isinstance(what, bytes):
        path.write_bytes(what)
    elif isinstance(host, InParts):
        with path.open("wb") as file:
            while part := host.get_part(what, file.tell(), PART_BYTES):
                file.write(part)
                if len(part) < PART_BYTES:
                    break
    else:
        path.write_bytes(host.get(what))


def _refuse_outside(name: str) -> None:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts:
        raise ValueError(f"{name!r} is not a relative path below the run's folder")


def _missed(host: str, name: str, error: Exception) -> dict[str, str]:
    why = error.message if isinstance(error, TribulationError) else f"{type(error).__name__}: {error}"
    return {"host": host, "file": name, "why": why}

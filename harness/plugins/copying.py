"""Copies of the user's code in a run's folder: of plugins, by which the run is judged again, and of the system's adapter, which is only evidence and
never executed from there.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import CampaignError
from .siblings import imported_siblings

FOLDER = "plugins"
ADAPTER = "adapter"
MOST_BESIDE = 64
MOST_BYTES = 1 << 20
MOST_PROGRAM_BYTES = 64 << 20
"""Size limit of a file of a client program."""


def copy_plugins(paths: Sequence[str], run_dir: Path) -> dict[str, str]:
    """Copy each plugin with the modules of its folder that it imports, into a folder of its own. Returns where each is, relative to the run's folder.
    Raises `OSError`.
    """
    kept = dict(zip(paths, kept_names(paths), strict=True))
    for path in map(Path, paths):
        _copy_with_siblings(path, (run_dir / kept[str(path)]).parent)
    return kept


def copy_adapter(file: str | None, directory: Path, run_dir: Path, programs: Sequence[Path] = ()) -> None:
    """Copy the file of the campaign's system, if it has one, with the modules of its folder that it imports and those files of client programs that
    are below its folder. Raises `OSError`.
    """
    if file is None:
        return
    path, copies = directory / file, run_dir / ADAPTER
    _copy_with_siblings(path, copies)
    folder = path.resolve().parent
    for program in programs:
        if program.is_relative_to(folder) and program.stat().st_size <= MOST_PROGRAM_BYTES:
            copy = copies / program.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(program, copy)


def _copy_with_siblings(path: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    small = [other for other in imported_siblings(path) if other.stat().st_size <= MOST_BYTES]
    for file in (path, *small[:MOST_BESIDE]):
        shutil.copyfile(file, folder / file.name)


def code_digests(run_dir: Path) -> dict[str, str]:
    """SHA-256 of each file of code in a new run's folder, by its name there."""
    found = sorted(path for folder in (ADAPTER, FOLDER) for path in (run_dir / folder).rglob("*") if path.is_file())
    return {path.relative_to(run_dir).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def require_adapter(path: Path, directory: Path) -> None:
    """Raise `CampaignError` for an adapter that is gone, where the run's folder has a copy. The copy is code from a folder: only the user decides to
    execute it.
    """
    copy = directory / ADAPTER / path.name
    if not path.exists() and copy.is_file():
        raise CampaignError(
            f"system file {path} does not exist; {copy} is the run's copy, which is not executed automatically",
            hint=f"read the copy; then put it back in that place, or `tri run` with `--set system.file={ADAPTER}/{path.name}`",
        )


def kept_names(paths: Sequence[str]) -> list[str]:
    return [f"{FOLDER}/{number}/{Path(path).name}" for number, path in enumerate(paths)]


def with_kept(plan: Mapping[str, Any], run_dir: Path) -> dict[str, Any]:
    """The JSON of a plan whose plugins are named by their copies, where the run's folder has them."""
    options = dict(plan["options"])
    if named := options.get("plugins"):
        places = kept_names(named)
        options["plugins"] = [
            place if (run_dir / place).is_file() else path for place, path in zip(places, named, strict=True)
        ]
    return {**plan, "options": options}


def load_kept(run_dir: Path, names: Sequence[str]) -> None:
    """The plugins of a run's folder. Raises `CampaignError` for a name that leads out of it, or to a link."""
    for name in names:
        path = run_dir / name
        if (
            Path(name).is_absolute()
            or ".." in Path(name).parts
            or path.is_symlink()
            or path.resolve().parent.parent.parent != run_dir.resolve()
        ):
            raise CampaignError(
                f"{run_dir}: the plugin {name!r} is not a file of this folder", hint="check its history alone"
            )
    if names:
        # Plugins need all workloads, which a history alone is judged without.
        from .loading import load_plugins

        load_plugins(names, run_dir)

"""Copies plugins into a run's folder, so that the run is judged and repeated with the plugins that made it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import CampaignError

FOLDER = "plugins"
MOST_BESIDE = 64
MOST_BYTES = 1 << 20


def copy_plugins(paths: Sequence[str], run_dir: Path) -> dict[str, str]:
    """Copy each plugin with the other Python files of its folder, into a folder of its own. Returns where each is, relative to the run's folder. Raises `OSError`."""
    kept = dict(zip(paths, kept_names(paths), strict=True))
    for path in map(Path, paths):
        folder = (run_dir / kept[str(path)]).parent
        folder.mkdir(parents=True)
        beside = sorted(
            other for other in path.parent.glob("*.py") if other != path and other.stat().st_size <= MOST_BYTES
        )
        for file in (path, *beside[:MOST_BESIDE]):
            shutil.copyfile(file, folder / file.name)
    return kept


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

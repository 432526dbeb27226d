"""The campaigns that come with the package, found by their names from any folder: `quickstart`, `flaws/vote-not-durable`."""

from __future__ import annotations

from pathlib import Path

import tribulation

FOLDER = Path(tribulation.__file__).parent / "campaigns"


def names() -> list[str]:
    return sorted(name_of(path) for path in FOLDER.rglob("*.yaml"))


def path_of(name: str) -> Path | None:
    """The path of the packaged campaign of this name, or None."""
    return FOLDER / f"{name}.yaml" if name in names() else None


def name_of(path: Path) -> str:
    """The name that a person types: a packaged campaign's name, or else the path."""
    if path.is_relative_to(FOLDER):
        return path.relative_to(FOLDER).with_suffix("").as_posix()
    return typed(path)


def typed(path: Path) -> str:
    """The path as a command line takes it: never as an option."""
    return f"./{path}" if str(path).startswith("-") else str(path)

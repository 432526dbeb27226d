"""Python files that a user names: imported as modules, with the other modules of their folder.

Dataclasses, `from __future__ import annotations` and the like work. Other modules of its folder can be imported, when it is loaded and later; an installed one of the same
name comes first.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from ..errors import CampaignError
from ..foreign import contained
from ..trouble import place_of_users

MOVED = ("node", "harness", "histories", "checkers")
"""Packages of 0.1, which are below `tribulation` now."""


def imported(path: Path, what: str) -> ModuleType:
    """The file's module. Raises `CampaignError` with file and line; `what` it is: a system, a plugin."""
    spec = importlib.util.spec_from_file_location(f"{what}_{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}", path)
    if spec is None or spec.loader is None or not path.is_file():
        why = "is not a Python file" if path.exists() else "does not exist"
        raise CampaignError(f"{what} file {path} {why}", hint="its path is relative to the campaign's folder")
    module = importlib.util.module_from_spec(spec)
    _Beside.of(path.parent)
    # Dataclasses, pickle and typing look a class's module up by its name.
    sys.modules[spec.name] = module
    try:
        with contained():
            spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also what a library's loop raises: asyncio's CancelledError, gevent's Timeout
        del sys.modules[spec.name]
        at = f"{error.filename}:{error.lineno}" if isinstance(error, SyntaxError) else place_of_users(error)
        if isinstance(error, ImportError) and error.path is None and error.name in MOVED:
            told = f"{path}: there is no package {error.name!r}"
            raise CampaignError(told, hint=f"it is now 'tribulation.{error.name}'") from error
        told = f"{at or path}: {type(error).__name__}: {error}"
        raise CampaignError(told, hint="the file must import cleanly") from error
    return module


class _Beside(MetaPathFinder):
    """Finds modules of one directory that nothing else finds, so that no file there can replace an installed module."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._found: set[str] = set()

    @classmethod
    def of(cls, directory: Path) -> None:
        """Use the finder of this directory instead of any other, whose modules are dropped: two systems may have modules of equal names."""
        directory = directory.absolute()
        before = [finder for finder in sys.meta_path if isinstance(finder, cls)]
        if any(finder._directory == directory for finder in before):
            return
        for finder in before:
            sys.meta_path.remove(finder)
            for name in finder._found:
                sys.modules.pop(name, None)
        sys.meta_path.append(cls(directory))

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is not None:
            return None
        spec = PathFinder.find_spec(fullname, [str(self._directory)])
        if spec is not None:
            self._found.add(fullname)
        return spec

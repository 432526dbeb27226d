"""Python files that a user names: imported as modules, with the other modules of their folder.

Dataclasses, `from __future__ import annotations` and the like work. Other modules of its folder can be imported, when it is loaded and later; an
installed one of the same name comes first. A file that is imported again has its modules as they are then: repeated runs share no state, and none
tests old code.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from ..errors import CampaignError
from ..foreign import contained
from ..trouble import place_of_users

MOVED = ("node", "harness", "histories", "checkers")
"""Packages of 0.1, which are below `tribulation` now."""


def imported(path: Path, what: str) -> ModuleType:
    """The file's module. Raises `CampaignError` with file and line; `what` it is: a system, a plugin."""
    name = f"{what}_{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}"
    spec = importlib.util.spec_from_file_location(name, path, loader=_FromSource(name, str(path)))
    if spec is None or spec.loader is None or not path.is_file():
        why = "is not a Python file" if path.exists() else "does not exist"
        raise CampaignError(f"{what} file {path} {why}", hint="its path is relative to the campaign's folder")
    module = importlib.util.module_from_spec(spec)
    finder = _Beside.of(path.parent)
    finder.forget(path)
    # Dataclasses, pickle and typing look a class's module up by its name.
    sys.modules[spec.name] = module
    finder.loading = path
    try:
        with contained():
            spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also what a library's loop raises: asyncio's CancelledError, gevent's Timeout
        del sys.modules[spec.name]
        at = place_of_users(error)
        if isinstance(error, SyntaxError):  # a zero byte has no line
            at = f"{error.filename}:{error.lineno}" if error.filename is not None else str(path)
        if isinstance(error, ImportError) and error.path is None and error.name in MOVED:
            text = f"{path}: there is no package {error.name!r}"
            raise CampaignError(text, hint=f"it is now 'tribulation.{error.name}'") from error
        text = f"{at or path}: {type(error).__name__}: {error}"
        raise CampaignError(text, hint="the file must import cleanly") from error
    finally:
        finder.loading = None
    return module


class _FromSource(SourceFileLoader):
    """Compiles the source each time: the bytecode that Python keeps counts as current after a change in the same second and of the same length."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


class _Beside(MetaPathFinder):
    """Finder of modules of one directory that nothing else finds, so that no file there can replace an installed module."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.loading: Path | None = None
        """The file that is imported now."""
        self._found: dict[str, Path | None] = {}
        """By name, the file whose import needed it; None for one that was needed later."""

    @classmethod
    def of(cls, directory: Path) -> _Beside:
        """The finder of this directory, instead of any other, whose modules are dropped: two systems may have modules of equal names."""
        directory = directory.absolute()
        before = [finder for finder in sys.meta_path if isinstance(finder, cls)]
        for finder in before:
            if finder._directory == directory:
                return finder
            sys.meta_path.remove(finder)
            finder._drop(list(finder._found))
        made = cls(directory)
        sys.meta_path.append(made)
        return made

    def forget(self, path: Path) -> None:
        """Drop the modules that an earlier import of this file needed. Those of other files stay: a plugin has its own."""
        self._drop([name for name, needed_by in self._found.items() if needed_by in (path, None)])

    def _drop(self, names: Sequence[str]) -> None:
        for name in names:
            del self._found[name]
            for other in [one for one in sys.modules if one == name or one.startswith(f"{name}.")]:
                del sys.modules[other]

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is not None:
            return None
        spec = PathFinder.find_spec(fullname, [str(self._directory)])
        if spec is None:
            return None
        self._found[fullname] = self.loading
        if isinstance(spec.loader, SourceFileLoader) and spec.origin is not None:
            spec.loader = _FromSource(fullname, spec.origin)
        return spec

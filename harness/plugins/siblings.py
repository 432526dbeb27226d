"""Modules of a file's folder that the file imports, and what these import: the files that its copy needs, and no others in the folder."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path


def imported_siblings(path: Path) -> list[Path]:
    """Modules by name. Imports inside of functions count, and so do modules that are already loaded."""
    folder = path.absolute().parent
    found: set[Path] = set()
    waiting = [path, *_loaded(folder)]
    while waiting:
        file = waiting.pop()
        if file.name not in {other.name for other in found}:
            found.add(file)
            waiting += [folder / f"{name}.py" for name in _named(file) if _is_sibling(name, folder)]
    return sorted(file for file in found if file.name != path.name)


def _loaded(folder: Path) -> list[Path]:
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    return [
        Path(file) for file in files if isinstance(file, str) and file.endswith(".py") and Path(file).parent == folder
    ]


def _named(file: Path) -> Iterator[str]:
    """First parts of the names that a file imports; none of a file that Python cannot read."""
    nodes: list[ast.AST] = []
    with suppress(OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        nodes = list(ast.walk(ast.parse(file.read_bytes())))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _is_sibling(name: str, folder: Path) -> bool:
    """An installed module of the same name comes first."""
    if name in sys.stdlib_module_names or not (folder / f"{name}.py").is_file():
        return False
    spec = PathFinder.find_spec(name)
    return spec is None or (spec.origin is not None and Path(spec.origin).parent == folder)

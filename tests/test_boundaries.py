"""Imports keep to the table in docs/architecture.md: data flows one way, and the node is pure."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).resolve().parent.parent
TOP = "tribulation"
PACKAGES = ("node", "histories", "checkers", "harness")
OURS = {"node": set(), "histories": set(), "checkers": {"histories"}, "harness": {"node", "histories", "checkers"}}
OUTSIDE = {"node": set(), "histories": {"msgspec", "numpy"}, "checkers": {"numpy", "scipy", "networkx", "numba"}}
IMPURE = {
    "time",
    "random",
    "socket",
    "os",
    "threading",
    "asyncio",
    "subprocess",
    "select",
    "datetime",
    "secrets",
    "uuid",
    "tempfile",
}
DISTRIBUTION = {"yaml": "pyyaml"}
ON_A_TARGET_ALONE = {"agent"}
"""Folders of the harness whose files are copied to hosts and run there by a bare Python."""
SENT_AS_TEXT = {"look.py", "claim_file.py"}
"""Files of the harness that are one program each for such a Python."""
BEFORE_THE_PLAN = {"campaign", "cli", "search", "shrink", "replay"}
"""Rooms of the harness that read campaigns to make plans of them."""
MAKES_A_PLAN = {
    *("pipeline.py", "settings.py", "outlook.py", "simulated.py"),
    *("plan/attached.py", "plan/build.py", "plan/requirements.py"),
}
"""Files of `harness/run` that may have a campaign: afterwards there are only its plan and its requirements."""


@dataclass(frozen=True)
class Import:
    """`module` is absolute, of ours without the leading `tribulation`; `relative` says how it was written; `lazily`, that it is inside a function."""

    path: Path
    line: int
    module: str
    relative: bool
    lazily: bool

    @property
    def top(self) -> str:
        return self.module.split(".")[0]

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {self.module}"


@dataclass(frozen=True)
class Function:
    path: Path
    line: int
    name: str
    lines: int


def read(path: Path) -> Iterator[Import | Function]:
    """Imports and functions of a module."""
    yield from _walk(ast.parse(path.read_text(encoding="utf-8")), path, lazily=False)


def _walk(node: ast.AST, path: Path, lazily: bool) -> Iterator[Import | Function]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(path, child.lineno, _short(name.name), False, lazily) for name in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from _from(child, path, lazily)
        else:
            function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            if function:
                yield Function(path, child.lineno, child.name, (child.end_lineno or child.lineno) - child.lineno + 1)
            yield from _walk(child, path, lazily or function)


def _from(node: ast.ImportFrom, path: Path, lazily: bool) -> Iterator[Import]:
    """`from .a import b` may name the module a.b or a member of a; a file or folder of that name decides."""
    base = list(path.relative_to(ROOT).parent.parts)
    base = base[: len(base) - node.level + 1] if node.level else []
    module = [*base, *(node.module.split(".") if node.module else [])]
    for name in node.names:
        inner = ROOT.joinpath(*module, name.name)
        is_module = inner.with_suffix(".py").exists() or (inner / "__init__.py").exists()
        found = _short(".".join([*module, name.name] if is_module else module))
        yield Import(path, node.lineno, found, node.level > 0, lazily)


def _short(module: str) -> str:
    return module.removeprefix(f"{TOP}.")


@cache
def _read(package: str) -> list[Import | Function]:
    """Read when first asked for: each process of a test run collects all files, and one of them runs this one."""
    return [found for path in sorted((ROOT / package).rglob("*.py")) for found in read(path)]


def imports_of(package: str) -> list[Import]:
    return [found for found in _read(package) if isinstance(found, Import)]


def functions_of(package: str) -> list[Function]:
    return [found for found in _read(package) if isinstance(found, Function)]


def _described(imports: list[Import]) -> list[str]:
    return [str(found) for found in imports]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_the_packages_before_it(package: str) -> None:
    strangers = set(PACKAGES) - OURS[package] - {package}
    assert _described([found for found in imports_of(package) if found.top in strangers]) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_inside_a_package_are_relative(package: str) -> None:
    assert _described([found for found in imports_of(package) if found.top == package and not found.relative]) == []


@pytest.mark.parametrize("package", sorted(OUTSIDE))
def test_a_package_imports_only_the_libraries_of_the_table(package: str) -> None:
    allowed = OUTSIDE[package] | set(sys.stdlib_module_names) | set(PACKAGES)
    assert _described([found for found in imports_of(package) if found.top not in allowed]) == []


def test_what_the_harness_imports_is_declared() -> None:
    """What only an extra installs is imported where it is used, so that everything else works without it."""
    always, extras = _dependencies()
    outside = [found for found in imports_of("harness") if found.top not in {*sys.stdlib_module_names, *PACKAGES, TOP}]
    undeclared = [found for found in outside if DISTRIBUTION.get(found.top, found.top) not in always]
    assert _described([found for found in undeclared if not (found.lazily and found.top in extras)]) == []


def test_nothing_heavy_is_imported_before_it_pays() -> None:
    """numba takes seconds to import; it may be imported only inside functions."""
    assert _described([found for found in imports_of("checkers") if found.top == "numba" and not found.lazily]) == []


def test_the_core_has_no_clock_chance_socket_or_thread_of_its_own() -> None:
    core = [found for found in imports_of("node") if (ROOT / "node/core") in found.path.parents]
    assert core, "node/core has moved; this test guards nothing"
    impure = [found for found in core if found.top in IMPURE]
    assert _described([found for found in impure if (found.path.name, found.top) != ("rng.py", "random")]) == []
    drivers = ("node.runtime", "node.wire", "node.__main__")
    assert _described([found for found in core if found.module.startswith(drivers)]) == []


def test_what_runs_on_a_target_needs_only_its_python() -> None:
    """Such a file may import the standard library and its own folder."""
    shipped = [found for found in imports_of("harness") if ON_A_TARGET_ALONE & set(found.path.parts)]
    foreign = [
        found
        for found in shipped
        if found.top not in sys.stdlib_module_names and not found.module.startswith(_home(found.path))
    ]
    assert _described(foreign) == []


def test_what_is_sent_to_a_target_as_text_needs_nothing_beside_it() -> None:
    sent = [found for found in imports_of("harness") if found.path.name in SENT_AS_TEXT]
    assert {found.path.name for found in sent} == SENT_AS_TEXT, "one has moved"
    assert _described([found for found in sent if found.top not in sys.stdlib_module_names]) == []


def test_a_campaign_ends_where_its_plan_begins() -> None:
    harness = ROOT / "harness"
    having = {
        path.relative_to(harness)
        for path in harness.rglob("*.py")
        if any(isinstance(at, ast.Name) and at.id == "Campaign" for at in ast.walk(ast.parse(path.read_bytes())))
    }
    in_run = {path.relative_to("run").as_posix() for path in having if path.parts[0] == "run"}
    assert {path.parts[0] for path in having} <= BEFORE_THE_PLAN | {"run"}
    assert in_run == MAKES_A_PLAN


def test_no_two_packages_import_each_other() -> None:
    edges = {
        (package, found.top)
        for package in PACKAGES
        for found in imports_of(package)
        if found.top in PACKAGES and found.top != package
    }
    assert list(nx.simple_cycles(nx.DiGraph(sorted(edges)))) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_two_folders_import_each_other(package: str) -> None:
    """A cycle of modules may stay within one folder (the parts of one machine); one that spans folders is an arrow that points back."""
    edges = {
        (_module(found.path), found.module)
        for found in imports_of(package)
        if found.top == package and not found.lazily
    }
    modules = nx.DiGraph(sorted(edge for edge in edges if "__init__" not in edge[0]))
    rings = [sorted(ring) for ring in nx.strongly_connected_components(modules) if len(ring) > 1]
    assert [ring for ring in rings if len({module.rpartition(".")[0] for module in ring}) > 1] == []


def _home(path: Path) -> str:
    """The shipped folder that the file is in, however deep."""
    parts = path.relative_to(ROOT).parent.parts
    outermost = min(parts.index(folder) for folder in ON_A_TARGET_ALONE if folder in parts)
    return ".".join(parts[: outermost + 1])


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def _dependencies() -> tuple[set[str], set[str]]:
    """What is always installed, and what extras for users add."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for name, lines in project["optional-dependencies"].items() if name != "dev" for line in lines]
    return _named(project["dependencies"]), _named(extras)


def _named(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=\[; ]", line)[0].lower() for line in requirements}

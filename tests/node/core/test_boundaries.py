"""The core stays pure: what it may import, that it iterates no sets, and that its machines do not know each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

CORE = Path(__file__).parents[3] / "node" / "core"
FILES = sorted(CORE.rglob("*.py"))
FORBIDDEN = {
    "time",
    "random",
    "socket",
    "os",
    "threading",
    "asyncio",
    "datetime",
    "uuid",
    "secrets",
    "select",
    "subprocess",
}
MACHINES = (
    *("raft", "clients", "application", "discovery", "detector", "agents", "tasks", "memory"),
    *(f"cluster.{name}" for name in ("roster", "submitter", "membership", "coordinator", "prober", "retirement")),
)
"""Folders, or files, of one machine each: they share records and signals, and know nothing of each other."""

HEAD = ("node", "incarnation", "seq", "mono_ns")
IDS = [str(path.relative_to(CORE)) for path in FILES]


def imports(tree: ast.AST, level: int | None = None) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and level is None:
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and (level is None or node.level == level):
            found.append(("." * node.level) + (node.module or ""))
    return found


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_imports(path: Path) -> None:
    tree = ast.parse(path.read_text())
    allowed = {"random"} if path.name == "rng.py" else set()
    for name in imports(tree):
        assert name.split(".")[0] not in FORBIDDEN - allowed, f"{path}: {name}"
    own = _machine(path.relative_to(CORE).with_suffix("").parts)
    others = {_machine(target) for target in _targets(tree, path.relative_to(CORE).parts[:-1])}
    # Agent memory is a replicated application too: the two share its records.
    shared = {("application", "memory")}
    assert own is None or not {other for other in others if other and other != own and (own, other) not in shared}


def _machine(parts: Sequence[str]) -> str | None:
    return next(
        (machine for machine in MACHINES if tuple(machine.split(".")) == tuple(parts[: machine.count(".") + 1])), None
    )


def _targets(tree: ast.AST, folder: Sequence[str]) -> Iterator[Sequence[str]]:
    """What a file imports of the core, as a path from the core's folder."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and 0 < node.level <= len(folder) + 1:
            base = [*folder[: len(folder) - node.level + 1], *(node.module.split(".") if node.module else [])]
            yield from ([*base, alias.name] for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_no_sets_and_no_identities(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        assert not isinstance(node, (ast.Set, ast.SetComp)), f"{path}:{node.lineno}: a set"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("set", "frozenset", "id", "hash"), f"{path}:{node.lineno}: {node.func.id}()"


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_only_wall_reads_the_wall_clock(path: Path) -> None:
    reads = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Attribute) and n.attr == "wall_ns"]
    assert not reads or path.name == "wall_clock.py", path


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_sizes(path: Path) -> None:
    source = path.read_text()
    assert len(source.splitlines()) <= 400, path
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert (node.end_lineno or 0) - node.lineno < 60, f"{path}: {node.name}"


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_no_trace_has_a_field_that_every_line_has(path: Path) -> None:
    """It would take the place of the line's own: which node wrote it, in which life, when."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "trace":
            taken = [keyword.arg for keyword in node.keywords if keyword.arg in HEAD]
            assert not taken, f"{path}:{node.lineno}: the field {taken[0]}"

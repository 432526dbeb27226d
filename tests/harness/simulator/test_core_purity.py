"""What would make a core's run differ from its repeat is kept out of the source of `node/core` and of what it imports from `node`."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import node

ROOT = Path(node.__file__).parent
CORE = [*sorted((ROOT / "core").rglob("*.py")), ROOT / "config.py", ROOT / "flaws.py", ROOT / "errors.py"]
BANNED_MODULES = (
    "time",
    "random",
    "os",
    "socket",
    "threading",
    "asyncio",
    "datetime",
    "uuid",
    "secrets",
    "select",
    "io",
    "pathlib",
)
BANNED_CALLS = ("id", "hash", "open", "input", "eval", "exec", "print")
BANNED_SETS = ("set", "frozenset")


def findings(source: str, *, chance: bool = False) -> list[str]:
    """Sentences on what does not belong into a core, with their lines."""
    found = []
    for at in ast.walk(ast.parse(source)):
        if isinstance(at, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in at.names] if isinstance(at, ast.Import) else [at.module or ""]
            level = getattr(at, "level", 0)
            for name in names:
                top = name.split(".")[0]
                if level == 0 and top in BANNED_MODULES and not (chance and top == "random"):
                    found.append(f"line {at.lineno}: imports {name}")
        elif isinstance(at, ast.Call) and isinstance(at.func, ast.Name) and at.func.id in BANNED_CALLS:
            found.append(f"line {at.lineno}: calls {at.func.id}()")
        elif isinstance(at, (ast.For, ast.comprehension)) and _is_set(at.iter):
            found.append(f"line {at.iter.lineno}: iterates over a set")
    return found


def _is_set(expression: ast.expr) -> bool:
    if isinstance(expression, (ast.Set, ast.SetComp)):
        return True
    if isinstance(expression, ast.Call) and isinstance(expression.func, ast.Name):
        if expression.func.id in ("list", "tuple", "iter", "enumerate", "reversed") and expression.args:
            return _is_set(expression.args[0])
        return expression.func.id in BANNED_SETS
    return False


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_core_has_no_clock_no_chance_and_no_order_of_sets(path: Path):
    assert findings(path.read_text(), chance=path.name == "chance.py") == []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from random import Random",
        "from os.path import join",
        "x = [y for y in {1, 2}]",
        "for x in list(set(y)): pass",
        "x = id(y)",
        "x = sorted(y, key=lambda z: hash(z))",
    ],
)
def test_the_lint_sees_each_of_them(source: str):
    assert findings(source)


def test_the_lint_lets_ordinary_code_through():
    assert findings("from ..chance import Chance\nfor x in sorted({1, 2}):\n    y = x in {3}\n") == []

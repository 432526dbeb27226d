"""No text from a user or a host gets into a shell line unquoted: what is put into one is quoted, or a constant of ours, everywhere in the sources.

A shell line here is any text with something put into it that is handed to `run`, `start`, `_execute` and the like, or that a function returns whose name says that it makes one
(`…_command`, `…_script`). Lists of words need no quoting: the code that runs them quotes them all.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*(ROOT / "harness").rglob("*.py"), ROOT / "node/runtime/process/control.py"])
RUNNERS = {
    "run",
    "start",
    "_execute",
    "_execute_once",
    "system",
    "popen",
    "Popen",
    "check_output",
    "check_call",
    "call",
}
QUOTING = {"quote", "join", "int", "len"}
"""`shlex.join` quotes each word; of `" ".join(…)` the words are looked at."""

ALLOWED = {
    ("harness/hosts/local/provider.py", "self.boot_hooks_s"): "a number",
}
"""(file, what is put in) → why it needs no quoting."""


def _is_safe(node: ast.expr, local: dict[str, list[ast.expr]], seen: frozenset[str] = frozenset()) -> bool:
    match node:
        case ast.Constant():
            return True
        case ast.JoinedStr(values=values):
            return all(_is_safe(value, local, seen) for value in values)
        case ast.FormattedValue(value=value, format_spec=spec):
            numeric = isinstance(spec, ast.JoinedStr) and ast.unparse(spec).strip("f'\"")[-1:] in "dxog"
            return numeric or _is_safe(value, local, seen)
        case ast.BinOp(left=left, op=ast.Add() | ast.Mod(), right=right):
            return _is_safe(left, local, seen) and _is_safe(right, local, seen)
        case ast.BinOp(left=left, right=right):
            return _is_safe(left, local, seen) and _is_safe(right, local, seen)
        case ast.IfExp(body=body, orelse=orelse):
            return _is_safe(body, local, seen) and _is_safe(orelse, local, seen)
        case ast.Name(id=name) if name not in seen and name in local:
            return all(_is_safe(value, local, seen | {name}) for value in local[name])
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.strip("_").isupper()
        case ast.Call(func=func, args=args):
            return _is_safe_call(func, args, local, seen)
        case ast.Tuple(elts=elts) | ast.List(elts=elts):
            return all(_is_safe(one, local, seen) for one in elts)
        case ast.GeneratorExp(elt=elt) | ast.ListComp(elt=elt):
            return _is_safe(elt, local, seen)
    return False


def _is_safe_call(func: ast.expr, args: list[ast.expr], local: dict[str, list[ast.expr]], seen: frozenset[str]) -> bool:
    name = func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
    if name.endswith(("_command", "_script")) or name == "_is_ours":
        return True  # looked at where it is made
    if name == "join" and isinstance(func, ast.Attribute) and isinstance(func.value, ast.Constant):
        return bool(args) and (_is_safe(args[0], local, seen) or _maps_quote(args[0]))
    if name in ("format", "replace") and isinstance(func, ast.Attribute):
        return _is_safe(func.value, local, seen) and all(_is_safe(one, local, seen) for one in args)
    return name in QUOTING or (name in ("max", "min", "round") and all(_is_safe(one, local, seen) for one in args))


def _maps_quote(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and ast.unparse(node.func) == "map"
        and ast.unparse(node.args[0]) in ("quote", "shlex.quote")
    )


def _assigned(function: ast.AST) -> dict[str, list[ast.expr]]:
    """By name what is assigned to it in the function; a parameter of a number's type is a constant."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                names = target.elts if isinstance(target, ast.Tuple) else [target]
                values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
                if len(names) == len(values):
                    for name, value in zip(names, values, strict=True):
                        if isinstance(name, ast.Name):
                            found.setdefault(name.id, []).append(value)
        elif isinstance(node, ast.NamedExpr):
            found.setdefault(node.target.id, []).append(node.value)
        elif (
            isinstance(node, ast.arg)
            and node.annotation is not None
            and ast.unparse(node.annotation) in ("int", "float")
        ):
            found.setdefault(node.arg, []).append(ast.Constant(0))
    return found


def _holes(node: ast.expr, local: dict[str, list[ast.expr]], seen: frozenset[str] = frozenset()) -> Iterator[ast.expr]:
    """What is put into a line and is not safe. A line that is a name is looked up."""
    match node:
        case ast.Name(id=name) if name in local and name not in seen:
            for value in local[name]:
                yield from _holes(value, local, seen | {name})
        case ast.JoinedStr(values=values):
            yield from (one.value for one in values if isinstance(one, ast.FormattedValue) and not _is_safe(one, local))
        case ast.BinOp(left=left, op=ast.Add() | ast.Mod(), right=right):
            for side in (left, right):
                yield from _holes(side, local, seen)
                if (
                    not isinstance(side, ast.JoinedStr | ast.BinOp)
                    and not _is_safe(side, local)
                    and _is_text(left, right)
                ):
                    yield side
        case ast.Call(func=ast.Attribute(attr="format" | "replace", value=value), args=args):
            yield from _holes(value, local, seen)
            yield from (one for one in args if not _is_safe(one, local))


def _is_text(*sides: ast.expr) -> bool:
    return any(
        isinstance(side, ast.JoinedStr) or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        for side in sides
    )


def unquoted(source: str, file: str) -> list[str]:
    found = []
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        local = _assigned(function)
        lines: list[ast.expr] = []
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and node.args:
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                lines += [node.args[0]] if name in RUNNERS else []
                lines += _shell_arguments(node.args[0]) if name in RUNNERS else []
            if (
                isinstance(node, ast.Return)
                and node.value is not None
                and function.name.endswith(("_command", "_script"))
            ):
                lines.append(node.value)
        for line in lines:
            for hole in _holes(line, local):
                text = ast.unparse(hole)
                if (file, text) not in ALLOWED:
                    found.append(f"{file}:{hole.lineno}: {text}")
    return sorted(set(found))


def _shell_arguments(node: ast.expr) -> list[ast.expr]:
    """In a list of words, what follows `-c`."""
    words = node.elts if isinstance(node, ast.List | ast.Tuple) else []
    return [after for word, after in itertools.pairwise(words) if isinstance(word, ast.Constant) and word.value == "-c"]


def test_what_is_put_into_a_shell_line_is_quoted() -> None:
    found = [hole for path in SOURCES for hole in unquoted(path.read_text(), path.relative_to(ROOT).as_posix())]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        'host.run(f"cd {path} && ls")',
        "host.run(f\"cd '{path}'\")",
        'host.run("cd " + path)',
        'host.run("cd %s" % path)',
        'host.run("cd {}".format(path))',
        'host.run("cd @".replace("@", path))',
        'line = f"cd {path}"; host.run(line)',
        'line = f"cd {path}"; more = f"{line} && ls"; host.run(more)',
        'host.run(["sh", "-c", f"cd {path}"])',
        "host.run(f\"rm {' '.join(paths)}\")",
        'subprocess.run(f"ls {path}", shell=True)',
    ],
)
def test_the_scan_sees_what_is_not_quoted(source: str) -> None:
    assert unquoted(f"def f(path, paths):\n    {source}\n", "x.py")
    assert unquoted("def a_command(path, paths):\n    return f'cd {path}'\n", "x.py")


@pytest.mark.parametrize(
    "source",
    [
        'host.run(f"cd {quote(path)} && ls")',
        "host.run(f\"rm {shlex.join(paths)} {' '.join(map(quote, paths))}\")",
        'quoted = shlex.quote(path); host.run(f"cd {quoted}")',
        'host.run(f"userdel {unit.USER}; sleep {_WAIT_S}")',
        'host.run(["ls", path])',
        'host.run(f"tail -n {lines}")',
    ],
)
def test_the_scan_lets_through_what_is(source: str) -> None:
    assert unquoted(f"def f(path, paths, lines: int = 3):\n    {source}\n", "x.py") == []

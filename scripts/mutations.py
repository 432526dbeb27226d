"""The changes that `mutate.py` makes: small ones that a programmer might make by mistake.

Each is made in a copy of the syntax tree. Left alone: docstrings and other text, annotations, imports, and f-strings, which only word a sentence.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
NAMES = {
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "argmin": "argmax",
    "argmax": "argmin",
    "minimum": "maximum",
    "maximum": "minimum",
}
SIDES = {"left": "right", "right": "left"}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
}

Change = tuple[str, Callable[[ast.AST], ast.AST]]
"""What is changed, and a function that turns the node (of a fresh copy) into what stands in its place."""


def mutations(source: str) -> Iterator[tuple[int, str, ast.Module]]:
    """(line, what, tree) of every mutant, in order of the source."""
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    left_alone = _left_alone(tree)
    found = []
    for number, node in enumerate(nodes):
        if id(node) in left_alone:
            continue
        for what, change in _changes(node):
            found.append((getattr(node, "lineno", 0), number, what, change))
    for line, number, what, change in sorted(found, key=lambda item: item[:2]):
        yield line, what, _with(tree, number, change)


def _with(tree: ast.Module, number: int, change: Callable[[ast.AST], ast.AST]) -> ast.Module:
    changed = copy.deepcopy(tree)
    # The walk of a copy visits its nodes in the same order.
    target = list(ast.walk(changed))[number]
    replacement = change(target)
    if replacement is not target:
        for parent in ast.walk(changed):
            for name, value in ast.iter_fields(parent):
                if value is target:
                    setattr(parent, name, replacement)
                elif isinstance(value, list) and any(item is target for item in value):
                    setattr(parent, name, [replacement if item is target else item for item in value])
    return ast.fix_missing_locations(changed)


def _left_alone(tree: ast.Module) -> set[int]:
    """Ids of nodes that say nothing about verdicts."""
    alone: set[int] = set()

    def leave(node: ast.AST | None) -> None:
        if node is not None:
            alone.update(id(inner) for inner in ast.walk(node))

    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.JoinedStr)):
            leave(node)
        elif isinstance(node, ast.AnnAssign):
            leave(node.annotation)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            leave(node.returns)
            for argument in [*node.args.args, *node.args.kwonlyargs, *node.args.posonlyargs]:
                leave(argument.annotation)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            leave(node)
        elif isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) and isinstance(node.values[-1], ast.Constant):
            leave(
                node.values[-1]
            )  # `op.complete_index or 0` of an operation that has one: the default is for the type checker
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript) and node in tree.body:
            leave(node)  # a name for a type
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for decorator in node.decorator_list:
                leave(decorator)
    return alone


def _changes(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            for other in COMPARISONS.get(type(operator), ()):
                if {type(operator), other} in _STRICTNESS and _of_positions(node):
                    continue
                yield f"{type(operator).__name__} becomes {other.__name__}", _compare(place, other)
    elif isinstance(node, ast.BoolOp):
        yield "and becomes or" if isinstance(node.op, ast.And) else "or becomes and", _swap_boolean
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.Invert, ast.USub)):
        yield f"{type(node.op).__name__} is dropped", lambda found: found.operand  # type: ignore[attr-defined]
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        other_operator = OPERATORS[type(node.op)]
        yield f"{type(node.op).__name__} becomes {other_operator.__name__}", _operate(other_operator)
    elif isinstance(node, ast.AugAssign) and type(node.op) in OPERATORS:
        other_operator = OPERATORS[type(node.op)]
        yield f"{type(node.op).__name__}= becomes {other_operator.__name__}=", _operate(other_operator)
    elif isinstance(node, ast.Constant):
        yield from _constants(node)
    elif isinstance(node, (ast.Name, ast.Attribute)):
        name = node.id if isinstance(node, ast.Name) else node.attr
        if name in NAMES and isinstance(node.ctx, ast.Load):
            yield f"{name} becomes {NAMES[name]}", _rename(NAMES[name])
    elif isinstance(node, (ast.If, ast.IfExp)):
        yield "the condition is negated", _negate
    elif isinstance(node, (ast.Expr, ast.AugAssign, ast.Continue, ast.Break)):
        yield "the statement is removed", lambda found: ast.Pass()
    if isinstance(node, ast.AugAssign):
        yield "the statement is removed", lambda found: ast.Pass()


_STRICTNESS: list[set[type[ast.cmpop]]] = [{ast.Lt, ast.LtE}, {ast.Gt, ast.GtE}]


def _of_positions(node: ast.Compare) -> bool:
    """Whether an invocation's position is compared with a completion's: no two events have one position, so that `<` and `<=` are the same."""
    text = ast.unparse(node)
    return "invoke" in text and "complete" in text and "_ns" not in text


def _constants(node: ast.Constant) -> Iterator[Change]:
    value = node.value
    if isinstance(value, bool):
        yield f"{value} becomes {not value}", _constant(not value)
    elif isinstance(value, int):
        yield f"{value} becomes {value + 1}", _constant(value + 1)
    elif isinstance(value, str) and value in SIDES:
        yield f"{value!r} becomes {SIDES[value]!r}", _constant(SIDES[value])


def _compare(place: int, other: type[ast.cmpop]) -> Callable[[ast.AST], ast.AST]:
    def change(node: ast.AST) -> ast.AST:
        assert isinstance(node, ast.Compare)
        node.ops[place] = other()
        return node

    return change


def _swap_boolean(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.BoolOp)
    node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    return node


def _operate(other: type[ast.operator]) -> Callable[[ast.AST], ast.AST]:
    def change(node: ast.AST) -> ast.AST:
        assert isinstance(node, (ast.BinOp, ast.AugAssign))
        node.op = other()
        return node

    return change


def _constant(value: object) -> Callable[[ast.AST], ast.AST]:
    return lambda node: ast.Constant(value)  # type: ignore[arg-type]


def _rename(name: str) -> Callable[[ast.AST], ast.AST]:
    def change(node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Name):
            node.id = name
        else:
            assert isinstance(node, ast.Attribute)
            node.attr = name
        return node

    return change


def _negate(node: ast.AST) -> ast.AST:
    assert isinstance(node, (ast.If, ast.IfExp))
    node.test = ast.UnaryOp(ast.Not(), node.test)
    return node

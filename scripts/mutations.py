"""The changes that `mutate.py` makes: small ones that a programmer might make by mistake.

Each is made in a copy of the syntax tree. Left alone is what decides no verdict: docstrings and other text, annotations, imports, f-strings and
functions that answer text; and what makes no difference by construction (`_left_alone` says why).
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

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

NAMING = {"level_of", "_registers", "_classify", "_stale_kind", "name", "node"}
"""Functions that answer a string which names something that is decided by, unlike all others that answer strings: those word a sentence."""

LARGE = 50
"""From here on one more or less is a mistake that no one makes: budgets, sizes of blocks, units of time."""

SHOWN = 3
"""From here on the upper bound of a slice is how much of something is shown."""

Change = tuple[str, Callable[[ast.AST], ast.AST]]
"""What is changed, and a function that turns the node (of a fresh copy) into what stands in its place."""


@dataclass(frozen=True, slots=True)
class Mutation:
    line: int
    what: str
    within: str
    """The function it is in, with its class; empty for what runs at import."""
    lines: range
    """Of the statement, or of the head of one that has a body: a test that reaches the mutant executes one of them."""
    original: ast.Module
    number: int
    change: Callable[[ast.AST], ast.AST]

    def tree(self) -> ast.Module:
        return _with(self.original, self.number, self.change)


def mutations(source: str) -> Iterator[Mutation]:
    """Every mutant, in order of the source."""
    tree = ast.parse(source)
    left_alone = _left_alone(tree)
    places = _places(tree)
    found = []
    for number, node in enumerate(ast.walk(tree)):
        if id(node) not in left_alone:
            found += [(getattr(node, "lineno", 0), number, node, what, change) for what, change in _changes(node)]
    for line, number, node, what, change in sorted(found, key=lambda item: item[:2]):
        within, statement = places[id(node)]
        yield Mutation(line, what, within, _head(statement), tree, number, change)


def _places(tree: ast.Module) -> dict[int, tuple[str, ast.stmt]]:
    """Id of a node → the function that it is run by, and its statement."""
    places: dict[int, tuple[str, ast.stmt]] = {}

    def visit(node: ast.AST, names: tuple[str, ...], running: bool, statement: ast.stmt) -> None:
        if isinstance(node, ast.stmt):
            statement = node
        places[id(node)] = ".".join(names) if running else "", statement
        named = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        for name, value in ast.iter_fields(node):
            inner, runs = names, running
            if name == "body" and named:
                inner, runs = (*names, node.name), running or not isinstance(node, ast.ClassDef)  # type: ignore[attr-defined]
            elif name == "body" and isinstance(node, ast.Lambda):
                inner, runs = (*names, "<lambda>"), True
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    visit(child, inner, runs, statement)

    for statement in tree.body:
        visit(statement, (), False, statement)
    return places


def _head(statement: ast.stmt) -> range:
    body = getattr(statement, "body", None)
    if isinstance(statement, ast.Match):
        body = statement.cases[-1].body  # with the patterns and conditions of all cases
    if body:
        return range(statement.lineno, max(statement.lineno + 1, body[0].lineno))
    return range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)


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
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.JoinedStr)) or _words(node):
            leave(node)
        elif isinstance(node, ast.Assert):
            leave(node)  # fails for our own mistakes only, and mostly speaks to the type checker
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            leave(node)
        elif isinstance(node, ast.keyword) and node.arg == "strict":
            leave(node)  # an assertion that lengths are equal
        elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.LShift, ast.Pow)) and _constant_only(node):
            leave(node)  # stands for more than anything, or for a bit
        elif isinstance(node, ast.Slice) and node.lower is None and _is_number(node.upper, SHOWN):
            leave(node.upper)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "round" and len(node.args) == 2:
            leave(node.args[1])  # how many digits are shown
        elif isinstance(node, ast.AnnAssign):
            leave(node.annotation)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            leave(node.returns)
            for argument in [*node.args.args, *node.args.kwonlyargs, *node.args.posonlyargs]:
                leave(argument.annotation)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            leave(node)
        elif isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) and isinstance(node.values[-1], ast.Constant):
            # `op.complete_index or 0` of an operation that has one: the default is for the type checker
            leave(node.values[-1])
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript) and node in tree.body:
            leave(node)  # a name for a type
        elif isinstance(node, ast.ClassDef):
            for decorator in node.decorator_list:
                leave(decorator)
    return alone


def _words(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.FunctionDef)
        and node.returns is not None
        and ast.unparse(node.returns) == "str"
        and node.name not in NAMING
    )


def _is_number(node: ast.AST | None, least: int) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int) and node.value >= least


def _constant_only(node: ast.BinOp) -> bool:
    return isinstance(node.left, ast.Constant) and isinstance(node.right, ast.Constant) and node.right.value > 5


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
    """Return whether an invocation's position is compared with a completion's: no two events have one position, so that `<` and `<=` are the same."""
    text = ast.unparse(node)
    return "invoke" in text and "complete" in text and "_ns" not in text


def _constants(node: ast.Constant) -> Iterator[Change]:
    value = node.value
    if isinstance(value, bool):
        yield f"{value} becomes {not value}", _constant(not value)
    elif isinstance(value, int) and value < LARGE:
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

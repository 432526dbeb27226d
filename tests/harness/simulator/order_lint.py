"""Reads source for what makes a run differ from its repeat: clocks, chance of its own, addresses, and the order of sets.

Sets are followed by name within a file: what is annotated or assigned as one, here or as an attribute, is one wherever that name is read. Looking
for members, adding and removing, sizes and set algebra are fine; what takes the members in their order is not, unless the order is lost at once (`sorted`, `sum`, another set).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

ORDERLESS = frozenset({"sorted", "set", "frozenset", "sum", "len", "any", "all", "min", "max", "Counter", "bool"})
IN_ORDER = frozenset(
    {"list", "tuple", "iter", "enumerate", "reversed", "next", "zip", "map", "filter", "dict", "deque", "str", "repr"}
)
METHODS_IN_ORDER = frozenset({"join", "fromkeys", "extend", "writelines"})
GIVES_SET = frozenset({"union", "intersection", "difference", "symmetric_difference", "copy"})
BANNED_CALLS = frozenset({"id", "hash", "open", "input", "eval", "exec", "print", "globals"})


def findings(source: str, modules: Iterable[str], members: Iterable[str] = ()) -> list[str]:
    """Sentences on what does not belong there, with their lines. `modules` may be imported from outside, of `random` only `members`."""
    tree = ast.parse(source)
    found = [*_imports(tree, frozenset(modules), frozenset(members)), *_calls(tree)]
    sets = _Sets(tree)
    return sorted({*found, *sets.used_in_order()}, key=lambda text: int(text.split()[1].rstrip(":")))


def _imports(tree: ast.AST, allowed: frozenset[str], members: frozenset[str]) -> Iterator[str]:
    for at in ast.walk(tree):
        if isinstance(at, ast.Import):
            for alias in at.names:
                if alias.name not in allowed or alias.name == "random":
                    yield f"line {at.lineno}: imports {alias.name}"
        elif isinstance(at, ast.ImportFrom) and at.level == 0:
            if at.module not in allowed:
                yield f"line {at.lineno}: imports {at.module}"
            elif at.module == "random" and not {alias.name for alias in at.names} <= members:
                yield f"line {at.lineno}: imports chance that is shared by the process"


def _calls(tree: ast.AST) -> Iterator[str]:
    for at in ast.walk(tree):
        if isinstance(at, ast.Call) and isinstance(at.func, ast.Name):
            if at.func.id in BANNED_CALLS:
                yield f"line {at.lineno}: calls {at.func.id}()"
            elif at.func.id == "Random" and not at.args:
                yield f"line {at.lineno}: draws a generator without a seed"


class _Sets:
    """The sets of one file, by name: variables and parameters, `.attributes`, functions, and containers whose items are sets."""

    def __init__(self, tree: ast.AST) -> None:
        self._tree = tree
        self._parents = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
        self._names: set[str] = set()
        self._of_sets: set[str] = set()
        known = -1
        while known != len(self._names) + len(self._of_sets):
            known = len(self._names) + len(self._of_sets)
            for at in ast.walk(tree):
                self._learn(at)

    def used_in_order(self) -> Iterator[str]:
        for at in ast.walk(self._tree):
            if isinstance(at, ast.For) and self.is_set(at.iter):
                yield f"line {at.iter.lineno}: goes through a set"
            elif isinstance(at, (ast.ListComp, ast.GeneratorExp, ast.DictComp)):
                if any(self.is_set(part.iter) for part in at.generators) and not self._order_is_lost(at):
                    yield f"line {at.lineno}: makes something of a set in its order"
            elif isinstance(at, ast.Starred) and self.is_set(at.value) and not self._order_is_lost(at):
                yield f"line {at.lineno}: unpacks a set"
            elif isinstance(at, ast.Call):
                yield from self._call(at)
            elif isinstance(at, ast.FormattedValue) and self.is_set(at.value):
                yield f"line {at.lineno}: shows a set in its order"
            elif (
                isinstance(at, ast.Assign)
                and isinstance(at.targets[0], (ast.Tuple, ast.List))
                and self.is_set(at.value)
            ):
                yield f"line {at.lineno}: unpacks a set"

    def _call(self, at: ast.Call) -> Iterator[str]:
        takes = isinstance(at.func, ast.Name) and at.func.id in IN_ORDER
        takes = takes or (isinstance(at.func, ast.Attribute) and at.func.attr in METHODS_IN_ORDER)
        if takes and any(self.is_set(argument) for argument in at.args) and not self._order_is_lost(at):
            yield f"line {at.lineno}: takes a set in its order"
        if isinstance(at.func, ast.Attribute) and at.func.attr == "pop" and not at.args and self.is_set(at.func.value):
            yield f"line {at.lineno}: takes any member of a set"

    def is_set(self, at: ast.expr | None) -> bool:
        match at:
            case ast.Set() | ast.SetComp():
                return True
            case ast.Name() | ast.Attribute():
                return not self._names.isdisjoint(self._seen_as(at))
            case ast.Subscript(value=ast.Name() | ast.Attribute() as value):
                return not self._of_sets.isdisjoint(self._seen_as(value))
            case ast.BinOp(left=left, op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor(), right=right):
                return self.is_set(left) or (self.is_set(right) and not isinstance(at.op, ast.Sub))
            case ast.IfExp(body=body, orelse=other):
                return self.is_set(body) or self.is_set(other)
            case ast.BoolOp(values=values):
                return any(self.is_set(value) for value in values)
            case ast.Call(func=ast.Name(id="set" | "frozenset")):
                return True
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if f"{name}()" in self._names:
                return True
            case ast.Call(func=ast.Attribute(value=value, attr=name)):
                return name in GIVES_SET and self.is_set(value)
        return False

    def _order_is_lost(self, at: ast.expr) -> bool:
        parent = self._parents.get(at)
        if isinstance(parent, (ast.Starred, ast.Tuple, ast.List)) and self._parents.get(parent) is not None:
            return self._order_is_lost(parent)
        if isinstance(parent, ast.Set):
            return True
        return isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name) and parent.func.id in ORDERLESS

    def _learn(self, at: ast.AST) -> None:
        match at:
            case ast.AnnAssign(target=target, annotation=annotation, value=value):
                self._annotated(self._made_as(target), annotation)
                if self.is_set(value):
                    self._names.add(self._made_as(target))
            case ast.Assign(targets=targets, value=value) if self.is_set(value):
                self._names.update(self._made_as(target) for target in targets)
            case ast.NamedExpr(target=target, value=value) if self.is_set(value):
                self._names.add(self._made_as(target))
            case ast.arg(arg=name, annotation=annotation):
                self._annotated(f"{self._scopes(at)[0]}/{name}", annotation)
            case ast.FunctionDef(name=name, returns=returns):
                self._annotated(f"{name}()", returns)
        self._names.discard("")

    def _annotated(self, name: str, annotation: ast.expr | None) -> None:
        text = ast.unparse(annotation).strip("'\"") if annotation is not None else ""
        if text.startswith(("set[", "frozenset[", "AbstractSet[")) or text in ("set", "frozenset"):
            self._names.add(name)
        elif "set[" in text and text.startswith(("dict[", "Mapping[", "list[", "tuple[", "defaultdict[", "Sequence[")):
            self._of_sets.add(name)

    def _made_as(self, target: ast.expr) -> str:
        """What a target is known as: an attribute (of whatever object), or a name within its function."""
        if isinstance(target, ast.Attribute):
            return f".{target.attr}"
        if not isinstance(target, ast.Name):
            return ""
        in_class = isinstance(self._parents.get(self._parents.get(target, target)), ast.ClassDef)
        return f".{target.id}" if in_class else f"{self._scopes(target)[0]}/{target.id}"

    def _seen_as(self, at: ast.Name | ast.Attribute) -> list[str]:
        if isinstance(at, ast.Attribute):
            return [f".{at.attr}", f"{at.attr}()"]
        return [f"{scope}/{at.id}" for scope in self._scopes(at)]

    def _scopes(self, at: ast.AST) -> list[str]:
        """The functions around it, from the inside out, and the module."""
        scopes, inner = [], self._parents.get(at)
        while inner is not None:
            if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                scopes.append(f"{getattr(inner, 'name', 'lambda')}:{inner.lineno}")
            inner = self._parents.get(inner)
        return [*scopes, "module"]

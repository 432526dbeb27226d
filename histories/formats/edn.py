"""Reader of EDN as recorded histories use it: a vector of maps, or one map per line.

Keywords and characters become strings (keywords without their colon), `nil` None, lists and vectors lists, sets frozensets. A map inside a set or as
a key is a `FrozenMap`. Metadata and what `#_` discards are omitted; a tagged value is its value; the keys of a namespaced map have its namespace. A
ratio is the string that it prints as, in lowest terms. Symbolic values (`##NaN`) are refused. So are two elements of one set, or keys of one map,
that would become equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..files.opening import read_text
from ..model.bounds import DEPTH, HINT
from ..model.canonical import canonical, same
from ..model.errors import HistoryError
from ..model.history import History
from ..model.operation import NEMESIS
from .edn_atoms import TOKEN, Unreadable, atom, character, string
from .maps import history_of_maps

_CLOSES = {"]": "[(", ")": "[(", "}": "{"}
_SHOWN = 40


class FrozenMap(dict[Any, Any]):
    """A map that can be in a set, or a key: equal to every value of the same canonical form."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(canonical(self))

    def __eq__(self, other: object) -> bool:
        return same(self, other)

    def __ne__(self, other: object) -> bool:
        return not same(self, other)


class _Open:
    """A collection that is being read. `waiting` are the prefixes whose form has not come yet; `namespace` is that of a namespaced map."""

    __slots__ = ("bare", "items", "namespace", "opening", "waiting")

    def __init__(self, opening: str, namespace: str | None = None) -> None:
        self.opening = opening
        self.namespace = namespace
        self.items: list[Any] = []
        self.waiting: list[str] = []
        self.bare: set[int] = set()

    def take(self, value: Any, is_keyword: bool = False) -> None:
        while self.waiting:
            if self.waiting.pop() == "drop":
                return
        if is_keyword and self.namespace is not None:
            self.bare.add(len(self.items))
        self.items.append(value)


def read_edn_history(path: str | Path) -> History:
    """The history in an EDN file; `:process :nemesis` is the nemesis."""
    path = Path(path)
    history = history_of_maps(_maps(read_text(path), str(path)), str(path))
    refuse_numbers_of_two_kinds(history)
    return history


def refuse_numbers_of_two_kinds(history: History) -> None:
    """Raise `HistoryError` where one number occurs both as an integer and as a float: EDN says that 1 and 1.0 differ, and to checkers they are equal."""
    kinds: dict[int | float, type] = {}
    for event in history.events:
        if event.process == NEMESIS:
            continue
        for number in (*_numbers(event.key), *_numbers(event.value)):
            if kinds.setdefault(number, type(number)) is not type(number):
                raise HistoryError(
                    f"{history.source}: event {event.index}: {int(number)} occurs also as {float(number)}: in EDN they differ, and to a checker they are equal",
                    "write every number of the history in one way",
                )


def _numbers(value: Any) -> Iterator[int | float]:
    if type(value) in (int, float):
        yield value
    elif isinstance(value, (list, tuple, frozenset)):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, dict):
        yield from _numbers([*value, *value.values()])


def _maps(text: str, source: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    number = 0
    for value in parse_edn(text, source):
        for item in value if isinstance(value, list) else [value]:
            place = f"{source}: event {number}"
            if not isinstance(item, dict):
                raise HistoryError(
                    f"{place}: {item!r} is not an event", "a history in EDN is maps, or a vector of maps"
                )
            yield place, item
            number += 1


def parse_edn(text: str, source: str = "edn") -> Iterator[Any]:
    """Each top-level value in `text`."""
    outermost = _Open("")
    stack = [outermost]
    namespace: str | None = None
    position = 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise _error(text, position, source, "unreadable")
        kind, here = match.lastgroup, match[0]
        try:
            if namespace is not None and kind is not None and here != "{":
                raise Unreadable("a namespace without its map")
            if kind == "open":
                if len(stack) > DEPTH + 2:  # a vector, a map, and the value of a field
                    raise Unreadable(f"a value is nested more than {DEPTH} deep")
                stack.append(_Open(here, namespace))
                namespace = None
            elif kind == "close":
                if stack[-1].opening[-1:] not in (*_CLOSES[here],):
                    raise Unreadable(f"{here!r} closes nothing")
                value = _collection(stack.pop())
                stack[-1].take(value)
            elif kind == "namespace":
                namespace = here[2:]
            elif kind == "prefix":
                # After metadata, the form stands for both; a tag stands for its form; a discarded form for nothing.
                stack[-1].waiting += ["keep", "drop"] if here == "^" else ["drop"] if here == "#_" else ["keep"]
            elif kind is not None:
                value = string(here) if kind == "string" else character(here) if kind == "character" else atom(here)
                stack[-1].take(value, here.startswith(":"))
        except Unreadable as error:
            raise _error(text, position, source, str(error)) from None
        position = match.end()
        if len(stack) == 1 and outermost.items:
            yield outermost.items.pop()
    if len(stack) > 1:
        raise _error(text, len(text), source, f"{stack[-1].opening!r} is never closed")
    if outermost.waiting or namespace is not None:
        raise _error(text, len(text), source, "a tag, metadata or #_ without its form")


def _collection(found: _Open) -> Any:
    """Make the collection that has been read. Raises `Unreadable` for anything but a collection."""
    if found.waiting:
        raise Unreadable("a tag, metadata or #_ without its form")
    items = found.items
    if found.opening == "{":
        if len(items) % 2:
            raise Unreadable(f"a map with {len(items)} forms: a key has no value")
        keys = [_key(found, place) for place in range(0, len(items), 2)]
        _refuse_twice(keys, "keys")
        return dict(zip(keys, items[1::2], strict=True))
    if found.opening == "#{":
        members = [_hashable(item) for item in items]
        _refuse_twice(members, "elements")
        return frozenset(members)
    return items


def _key(found: _Open, place: int) -> Any:
    key = found.items[place]
    if place in found.bare:
        return key[2:] if key.startswith("_/") else key if "/" in key else f"{found.namespace}/{key}"
    return _hashable(key)


def _refuse_twice(items: list[Any], what: str) -> None:
    """Refuse two elements that are equal to a checker: EDN forbids equal ones; 1 and 1.0, or :a and "a", are equal to checkers, and 1 and true to Python."""
    if len(items) > 1 and (len(set(items)) < len(items) or len(set(map(canonical, items))) < len(items)):
        raise Unreadable(f"a {'map' if what == 'keys' else 'set'} has two equal {what}")


def _hashable(value: Any) -> Any:
    """Return a value in the form for a set element or a key of a map."""
    if isinstance(value, list):
        return tuple(map(_hashable, value))
    return FrozenMap(value) if type(value) is dict else value


def _error(text: str, position: int, source: str, what: str) -> HistoryError:
    line = text.count("\n", 0, position) + 1
    near = text[position : position + _SHOWN].split("\n")[0]
    hint = HINT if "nested" in what or "digits" in what else "the file is not EDN, or was cut off"
    return HistoryError(f"{source}:{line}: {what}: {near!r}", hint)

"""A reader for as much of EDN as recorded histories use, and for histories in it: a vector of maps, or one map a line.

Keywords become strings without their colon, `nil` None, lists and vectors lists, sets frozensets. It knows no reader conditionals and no
namespaces; a tagged value is its value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import HistoryError
from ..history import History
from .maps import history_of_maps

_TOKEN = re.compile(
    r"""[\s,]+|;[^\n]*|(?P<open>\#\{|[\[({])|(?P<close>[\])}])|(?P<string>"(?:[^"\\]|\\.)*")|\#[\w./-]+|(?P<atom>[^\s,\[\](){}";]+)"""
)
_CLOSES = {"]": "[(", ")": "[(", "}": "{"}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}


def read_edn_history(path: str | Path) -> History:
    """The history in an EDN file; `:process :nemesis` is the nemesis."""
    path = Path(path)
    return history_of_maps(_maps(path.read_text(encoding="utf-8"), str(path)), str(path))


def _maps(text: str, source: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    number = 0
    for value in parse_edn(text, source):
        for item in value if isinstance(value, list) else [value]:
            place = f"{source}: event {number}"
            if not isinstance(item, dict):
                raise HistoryError(f"{place}: {item!r} is no event", "a history in EDN is maps, or a vector of maps")
            yield place, item
            number += 1


def parse_edn(text: str, source: str = "edn") -> Iterator[Any]:
    """Each top-level value in `text`."""
    stack: list[tuple[str, list[Any]]] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _error(text, position, source, "unreadable")
        if match["open"]:
            stack.append((match["open"], []))
        elif match["close"]:
            if not stack or stack[-1][0][-1] not in _CLOSES[match["close"]]:
                raise _error(text, position, source, f"{match['close']!r} closes nothing")
            opening, items = stack.pop()
            if opening == "{" and len(items) % 2:
                raise _error(text, position, source, f"a map of {len(items)} forms, a key without its value")
            value = _collection(opening, items)
            if stack:
                stack[-1][1].append(value)
            else:
                yield value
        elif match["string"] or match["atom"]:
            value = _string(match["string"]) if match["string"] else _atom(match["atom"])
            if stack:
                stack[-1][1].append(value)
            else:
                yield value
        position = match.end()
    if stack:
        raise _error(text, len(text), source, f"{stack[-1][0]!r} is never closed")


def _collection(opening: str, items: list[Any]) -> Any:
    if opening == "{":
        return {_key(name): value for name, value in zip(items[::2], items[1::2], strict=True)}
    return frozenset(map(_key, items)) if opening == "#{" else items


def _key(value: Any) -> Any:
    """What is in a set or a key of a map must be hashable."""
    return tuple(map(_key, value)) if isinstance(value, list) else value


def _string(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), text[1:-1])


def _atom(text: str) -> Any:
    if text in ("nil", "true", "false"):
        return {"nil": None, "true": True, "false": False}[text]
    if re.fullmatch(r"[+-]?\d+[NM]?", text):
        return int(text.rstrip("NM"))
    if re.fullmatch(r"[+-]?\d+\.\d*(?:[eE][+-]?\d+)?M?", text):
        return float(text.rstrip("M"))
    return text.removeprefix(":")


def _error(text: str, position: int, source: str, what: str) -> HistoryError:
    line = text.count("\n", 0, position) + 1
    near = text[position : position + 40].split("\n")[0]
    return HistoryError(f"{source}:{line}: {what}: {near!r}", "the file is not EDN, or was cut off")

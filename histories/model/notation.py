"""A small notation for histories, so that a test shows one at a glance.

    parse("p0 w1   p1 r1")                one operation after the other
    parse("p0 w1 | p1 r_")                `|`: concurrent; both invoked, then both completed, in the order written
    parse("p0[w1   p1 r1   p1 r_   p0]")  brackets: p0's write is open while p1 reads twice
    parse("p0 w1?  p1 x:r1  p2 c1>2!")    `?` ends in info, `!` in fail; `x:` is the key

| operation | is | | operation | is |
|---|---|---|---|---|
| `w5` | write 5 | | `a7` | add 7 to a set |
| `r5` | read that returned 5 | | `s1,2` | read of a whole set (or list) that returned [1, 2] |
| `r_` | read that returned null | | `s` | … that returned [] |
| `c1>2` | cas from 1 to 2 | | `+7` | append 7 to a list |
| | | | `l`, `u` | acquire, release of a mutex |

An open operation `p0[r` is completed by `p0]5` (a read's result), `p0]1,2` (a whole read's, after `p0[s`), `p0]` (anything else), `p0]?` (info) or
`p0]!` (fail). A failed cas is a mismatch by default: `c1>2!` carries no value, `c1>2!5` observed 5, `c1>2!no-quorum` did not happen. `w1@stale` has
the level stale. Operations that are not completed at the end are unknown. Values are integers where they look like one, else words; `_` is null. Event number i
happens at i milliseconds. Newlines are spaces; `#` starts a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .errors import HistoryError
from .history import History
from .operation import MISMATCH, Event, Type

_F = {"w": "write", "r": "read", "c": "cas", "a": "add", "s": "read", "+": "append", "l": "acquire", "u": "release"}
_OP = re.compile(
    r"(?:(?P<key>\w+):)?(?P<f>[wrcasul+])(?P<value>[^?!@]*)(?:@(?P<level>\w+))?(?P<end>\?|!(?P<error>[\w-]*))?$"
)
_WHOLE = re.compile(r"(?P<process>p\d+)$")
_OPEN = re.compile(r"(?P<process>p\d+)\[(?P<op>.+)$")
_CLOSE = re.compile(r"(?P<process>p\d+)\](?P<end>\?|!(?P<error>[\w-]*))?(?P<value>[^?!]*)$")
_MS = 1_000_000


@dataclass(frozen=True)
class _Op:
    f: str
    letter: str
    argument: Any
    result: Any
    key: str | None
    level: str | None
    type: Type
    error: str | None


@dataclass
class _Writer:
    events: list[Event] = field(default_factory=list)
    open: dict[int, _Op] = field(default_factory=dict)

    def write(self, process: int, kind: Type, op: _Op, value: Any, error: str | None = None) -> None:
        index = len(self.events)
        self.events.append(
            Event(index, index * _MS, process, kind, op.f, value, key=op.key, level=op.level, error=error)
        )

    def invoke(self, process: int, op: _Op) -> None:
        self.write(process, Type.INVOKE, op, op.argument)
        self.open[process] = op

    def complete(self, process: int, op: _Op) -> None:
        self.write(process, op.type, op, op.result, op.error)
        self.open.pop(process, None)


def parse(text: str) -> History:
    """The history that `text` describes. Raises `HistoryError` on a word it cannot read."""
    writer = _Writer()
    group: list[tuple[int, _Op]] = []
    words = _words(text)
    joined = False
    for word in words:
        if word == "|":
            joined = True
            continue
        if not joined:
            _flush(writer, group)
        joined = False
        if opened := _OPEN.match(word):
            writer.invoke(_number(opened["process"]), _op(opened["op"]))
        elif closed := _CLOSE.match(word):
            _close(writer, closed)
        elif whole := _WHOLE.match(word):
            group.append((_number(whole["process"]), _op(next(words, ""))))
        else:
            raise _unreadable(word)
    _flush(writer, group)
    return History(writer.events, source="notation")


def _words(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield from line.partition("#")[0].replace("|", " | ").split()


def _flush(writer: _Writer, group: list[tuple[int, _Op]]) -> None:
    for process, op in group:
        writer.invoke(process, op)
    for process, op in group:
        writer.complete(process, op)
    group.clear()


def _close(writer: _Writer, closed: re.Match[str]) -> None:
    process = _number(closed["process"])
    if process not in writer.open:
        raise HistoryError(f"p{process}] closes an operation that is not open", f"open it before with p{process}[…")
    op = writer.open.pop(process)
    kind, error, observed = _outcome(op.f, closed["end"], closed["error"])
    result = _value(closed["value"], op.letter) if closed["value"] or op.f == "read" else op.argument
    writer.write(process, kind, op, _result(op.f, kind, op.argument, result, observed), error)


def _op(text: str) -> _Op:
    match = _OP.match(text)
    if match is None:
        raise _unreadable(text)
    letter = match["f"]
    f = _F[letter]
    value = _value(match["value"], letter)
    argument = None if f == "read" else value
    kind, error, observed = _outcome(f, match["end"], match["error"])
    result = _result(f, kind, argument, value, observed)
    return _Op(f, letter, argument, result, match["key"], match["level"], kind, error)


def _outcome(f: str, end: str | None, error: str | None) -> tuple[Type, str | None, Any]:
    """Return type, error, and what a failed cas observed (None when it is not given)."""
    if end is None:
        return Type.OK, None, None
    if end == "?":
        return Type.INFO, None, None
    if f == "cas" and (not error or error.isdigit()):
        return Type.FAIL, MISMATCH, int(error) if error else None
    return Type.FAIL, error or "refused", None


def _result(f: str, kind: Type, argument: Any, result: Any, observed: Any) -> Any:
    if kind is Type.OK:
        return result
    if kind is Type.FAIL and observed is not None:
        return observed
    return None if f == "read" else argument


def _value(text: str, letter: str) -> Any:
    if letter == "c":
        start, arrow, end = text.partition(">")
        if not arrow:
            raise _unreadable(f"c{text}")
        return [_atom(start), _atom(end)]
    if letter == "s":
        return [_atom(part) for part in text.split(",") if part]
    return _atom(text)


def _atom(text: str) -> Any:
    if text in ("_", ""):
        return None
    return int(text) if re.fullmatch(r"-?\d+", text) else text


def _number(process: str) -> int:
    return int(process[1:])


def _unreadable(word: str) -> HistoryError:
    return HistoryError(f"cannot read {word!r} in a history's notation", "for example: p0 w1 | p1 r_   p0[c1>2   p0]")

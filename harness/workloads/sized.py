"""Values as large as a campaign wants them, made of the small ones that histories record.

A workload deals in small unique numbers. On its way to the system a number becomes a text of `size` bytes that is drawn from it, and an answer
becomes a number again only when it is that very text, byte for byte. So a history stays small and the checkers exact: anything that the system cut,
mixed or damaged is a value that no client wrote, `"<65536 bytes: 1f3a…>"`.

    large = Sizes({"register": 65536})
    op = large.grown(Op("write", "k1", 7, workload="register"))        # value "7.c0a4…", 65536 bytes
    large.shrunk(op.workload, Outcome("ok", "7.c0a4…")).value          # 7
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

from tribulation.node.core.clients.request import COMMAND_CHARACTERS

from ..systems.base import Op, Outcome
from ..user_files.quantities import format_bytes, parse_bytes

ROOM_BYTES = 1024
"""The bytes of a command in addition to its values: the request and its key."""

LARGEST_BYTES = COMMAND_CHARACTERS - ROOM_BYTES
"""All values of a command together, so that the reference node takes it."""

SMALLEST_BYTES = 64
"""Room for any number and enough drawn bytes to distinguish two of them."""

SHRUNK_LEVELS = 8
"""Levels of lists that are shrunk in a value that comes back: the elements of a transaction's list are in the third."""
_NUMBER = re.compile(r"(0|[1-9][0-9]{0,18})\.")
"""The one way of writing each number: no client wrote " 7" or "07"; a system may send any number of digits."""


def _enough(size: int) -> int:
    if size < SMALLEST_BYTES:
        raise ValueError(f"{format_bytes(size)} is less than {SMALLEST_BYTES}B, which distinguishes two values")
    return size


ValueBytes = Annotated[
    int,
    BeforeValidator(parse_bytes),
    AfterValidator(_enough),
    PlainSerializer(format_bytes, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string"}),
]
"""A pydantic field in bytes that reads `64KiB`."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of values by workload, in bytes; values of other workloads stay as they are."""

    bytes_of: Mapping[str, int]

    def grown(self, op: Op) -> Op:
        """Return the operation as the system gets it."""
        size = self.bytes_of.get(op.workload)
        if size is None or op.value is None:
            return op
        many = isinstance(op.value, list | tuple)
        return replace(op, value=[_grown(value, size) for value in op.value] if many else _grown(op.value, size))

    def shrunk(self, workload: str, outcome: Outcome) -> Outcome:
        """Return the outcome as the history records it."""
        size = self.bytes_of.get(workload)
        if size is None:
            return outcome
        extra = dict(outcome.extra)
        if "observed" in extra:
            extra["observed"] = _shrunk(extra["observed"], size)
        return replace(outcome, value=_shrunk(outcome.value, size), extra=extra)


def _grown(value: Any, size: int) -> Any:
    return value if value is None else text_of(value, size)


def _shrunk(value: Any, size: int, depth: int = SHRUNK_LEVELS) -> Any:
    if isinstance(value, list | tuple):
        # What lies deeper is no value of a workload, and stays what the system made of it.
        return [_shrunk(one, size, depth - 1) for one in value] if depth else value
    if not isinstance(value, str):
        return value
    number = _NUMBER.match(value)
    if number is not None and text_of(int(number[1]), size) == value:
        return int(number[1])
    content = value.encode("utf-8", "surrogatepass")
    return f"<{len(content)} bytes: {hashlib.sha256(content).hexdigest()[:16]}>"


@lru_cache(maxsize=64)
def text_of(number: int, size: int) -> str:
    """Return `size` bytes of ASCII that no other number has, and that differ from another's everywhere."""
    head = f"{number}."
    missing = size - len(head)
    return head + hashlib.shake_128(head.encode()).hexdigest(missing // 2 + 1)[:missing]

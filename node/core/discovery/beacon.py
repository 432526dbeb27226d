"""Content of a beacon, as JSON that fits in a datagram, and its validation.

    {"at": [host, port, udp_port, role], "have": [mark, …], "others": [[name, host, port, udp_port, role, incarnation, age_ms], …]}

An absent or empty host, or `0.0.0.0`, stands for the address that the datagram came from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...config.cluster import MS, ROLES
from ..interface.entry import canonical
from ..interface.value import frozen
from .table import KNOWN_LIMIT, Place, Table

MARK_BYTES = 9
HOST_LENGTH = 255
AGE_LIMIT_MS = 3_600_000


@frozen
class Beacon:
    """Content of a beacon. `others` are other nodes: name, place and age in ns. `have` are the marks of the nodes that the sender knows."""

    place: Place
    have: Sequence[int]
    others: Sequence[tuple[str, Place, int]]


def make_body(now_ns: int, room: int, place: Place, table: Table, but: str | None = None) -> Mapping[str, Any]:
    """Make this node's beacon of at most `room` bytes. It names as many other nodes as fit, except the receiver (`but`)."""
    at = [place.host, place.port, place.udp_port, place.role]
    body: dict[str, Any] = {"at": at, "have": [], "others": []}
    room -= len(canonical(body))
    body["have"] = table.marks()[: max(0, room // MARK_BYTES)]
    room -= MARK_BYTES * len(body["have"])
    for name in table.rotated():
        p = table.places[name]
        age_ms = (now_ns - table.heard_ns[name]) // MS
        row = [name, p.host, p.port, p.udp_port, p.role, p.incarnation, age_ms]
        size = len(canonical(row)) + 1
        if name != but and size <= room:
            body["others"].append(row)
            room -= size
    return body


def read_body(body: Any, host: str, incarnation: int) -> Beacon:
    """Parse a beacon received from `host`. Raises ValueError for anything else."""
    if not isinstance(body, Mapping):
        raise ValueError("it is no object")
    at, have, others = body.get("at"), body.get("have"), body.get("others")
    if not isinstance(at, list) or not isinstance(have, list) or not isinstance(others, list):
        raise ValueError("it lacks at, have or others")
    if len(have) > KNOWN_LIMIT or not all(_number(mark, 0xFFFFFF) for mark in have) or len(others) > KNOWN_LIMIT:
        raise ValueError("its lists are too long, or hold no numbers")
    if len(at) != 4:
        raise ValueError("it does not say host, port, udp_port and role")
    said, port, udp_port, role = at
    place = _place(host if said in (None, "", "0.0.0.0") else said, port, udp_port, role, incarnation)
    return Beacon(place, have, [_other(row) for row in others])


def _other(row: Any) -> tuple[str, Place, int]:
    if not isinstance(row, list) or len(row) != 7 or not _text(row[0], 64) or not _number(row[6], AGE_LIMIT_MS):
        raise ValueError("it describes another node in no known form")
    return row[0], _place(*row[1:6]), row[6] * MS


def _place(host: Any, port: Any, udp_port: Any, role: Any, incarnation: Any) -> Place:
    if not _text(host, HOST_LENGTH) or not _number(port, 65535) or not _number(udp_port, 65535) or role not in ROLES:
        raise ValueError("an address or a role is none")
    if not _number(incarnation, 1 << 62):
        raise ValueError("an incarnation is not a number")
    return Place(host, port, udp_port, role, incarnation)


def _text(value: Any, longest: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= longest and value.isprintable()


def _number(value: Any, highest: int) -> bool:
    return type(value) is int and 0 <= value <= highest

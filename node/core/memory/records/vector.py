"""Version vectors: for each replica, a number n, which means that all its changes up to number n have been seen.

Parker et al. 1983, "Detection of Mutual Inconsistency in Distributed Systems". A vector is a dict that is never changed once it is shared; an absent
replica has number 0. Of two vectors either one includes the other, or they are concurrent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ....printable import printable
from .schema import short

Vector = dict[str, int]
Dot = tuple[str, int]
"""One change: its replica, and its number there, from 1."""
NUMBER_LIMIT = 1 << 63
REPLICA_CHARACTERS = 160


def covers(vector: Mapping[str, int], replica: str, number: int) -> bool:
    return vector.get(replica, 0) >= number


def includes(vector: Mapping[str, int], other: Mapping[str, int]) -> bool:
    """Return whether `vector` has seen everything that `other` has."""
    return all(vector.get(replica, 0) >= number for replica, number in other.items())


def concurrent(a: Mapping[str, int], b: Mapping[str, int]) -> bool:
    return not includes(a, b) and not includes(b, a)


def joined(a: Mapping[str, int], b: Mapping[str, int]) -> Vector:
    """Return the least vector that includes both; replicas sorted."""
    out = dict(a)
    for replica, number in b.items():
        if out.get(replica, 0) < number:
            out[replica] = number
    return dict(sorted(out.items()))


def met(vectors: Iterable[Mapping[str, int]]) -> Vector:
    """Return the greatest vector that all of these vectors include: the changes that every node has seen. Without vectors it is empty."""
    common: Vector | None = None
    for vector in vectors:
        if common is None:
            common = dict(vector)
        else:
            common = {who: min(n, vector[who]) for who, n in common.items() if who in vector}
    return dict(sorted((common or {}).items()))


def beyond(vector: Mapping[str, int], other: Mapping[str, int]) -> Vector:
    """Return the part of `vector` that `other` has not seen."""
    return {replica: number for replica, number in vector.items() if other.get(replica, 0) < number}


def stepped(vector: Mapping[str, int], dot: Dot) -> Vector:
    """Return the vector after this change; replicas sorted."""
    replica, number = dot
    if replica in vector:
        return {**vector, replica: number}
    return dict(sorted([*vector.items(), dot]))


def vector_problem(value: Any) -> str | None:
    """Return why a value from a peer or a disk, which may be anything, is not a version vector; None when it is one."""
    if not isinstance(value, dict):
        return f"the vector is {short(value)}, not an object of numbers by replica"
    for replica, number in value.items():
        if not replica_fine(replica):
            return f"the vector has {short(replica)}, which is not a replica of 1-{REPLICA_CHARACTERS} printable characters"
        if not number_fine(number):
            return f"the vector has {short(number)} for {replica}, not an integer 1..{NUMBER_LIMIT - 1}"
    return None


def replica_fine(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= REPLICA_CHARACTERS and printable(value)


def number_fine(value: Any) -> bool:
    return type(value) is int and 1 <= value < NUMBER_LIMIT

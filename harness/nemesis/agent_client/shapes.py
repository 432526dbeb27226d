"""Shapes of agents' answers, by question: each request to an agent has one; a test compares them with the agent's own table.

A question is the verb of a request; for `look`, also the part and its subject. `needed` fields are required. All others may be missing,
but must have the right shape, and fields that are not listed here are dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...hosts.ssh.places import literal

MOST_ADDRESSES = 64
MOST_READINGS = 10_000

Check = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Shape:
    needed: Mapping[str, Check] = field(default_factory=dict)
    others: Mapping[str, Check] = field(default_factory=dict)


def question_of(request: Mapping[str, Any]) -> str:
    """Return the question that a request asks: `renew`, `look disk`, `look clock reach`, `arrived counts`."""
    verb = str(request["do"])
    if verb == "arrived":
        return "arrived counts" if request.get("counts") else verb
    if verb != "look":
        return verb
    asked = request.get("what") or next((name for name in _DETAILS if name in request), "")
    return f"look {request['part']} {asked}".rstrip()


_DETAILS = ("try", "reach", "standing", "lose_power")


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_truth(value: Any) -> bool:
    return isinstance(value, bool)


def is_object(value: Any) -> bool:
    return isinstance(value, dict)


def or_none(is_right: Check) -> Check:
    return lambda value: value is None or is_right(value)


def list_of(is_right: Check) -> Check:
    return lambda value: isinstance(value, list) and all(is_right(one) for one in value)


def by_name(is_right: Check) -> Check:
    return lambda value: isinstance(value, dict) and all(is_right(one) for one in value.values())


def having(**fields: Check) -> Check:
    """Return the check of an object with at least these fields."""
    return lambda value: (
        isinstance(value, dict) and all(name in value and is_right(value[name]) for name, is_right in fields.items())
    )


def _is_port(value: Any) -> bool:
    return is_int(value) and 0 < value < 1 << 16


def _is_addresses(value: Any) -> bool:
    """Check addresses, which go into the firewalls of other hosts."""
    return texts(value) and len(value) <= MOST_ADDRESSES and all("%" not in one and literal(one) for one in value)


def _ints(count: int) -> Check:
    return lambda value: isinstance(value, list) and len(value) == count and all(is_int(one) for one in value)


def _is_active(value: Any) -> bool:
    """Check a fault that the host's account has as active."""
    named = is_object(value) and all(or_none(is_text)(value.get(name)) for name in ("kind", "run", "by"))
    return named and having(id=is_text, at_ns=lambda time: is_int(time) and 0 <= time < 1 << 62)(value)


def _is_readings(value: Any) -> bool:
    """Check readings of a clock: monotonic time, offset and error each, in ns."""
    return isinstance(value, list) and len(value) <= MOST_READINGS and all(_ints(3)(one) for one in value)


def _is_connections(value: Any) -> bool:
    """Check [own port, peer's address, peer's port, inode] each."""
    return isinstance(value, list) and all(
        isinstance(one, list) and len(one) == 4 and is_text(one[1]) and all(map(is_int, (one[0], one[2], one[3])))
        for one in value
    )


def _is_lost(value: Any) -> bool:
    return is_object(value) and ("model" not in value or having(**dict.fromkeys(LOST, _any))(value))


def _any(value: Any) -> bool:
    return True


LOST = ("unsynced_bytes", "lost_bytes", "lost_names", "back_names", "torn")
"""Fields that a disk's report of lost writes has in addition to its `model`."""

texts = list_of(is_text)
_device = having(error=or_none(is_text), took_ns=or_none(is_int), durable=is_truth)
_burst = having(**dict.fromkeys(("came", "twice", "overtaken", "least_ns", "median_ns", "most_ns", "span_ns"), is_int))
_damage = having(id=is_text, effect=is_text, file=_any, offset=_any, still=_any)
_means = having(means=or_none(is_text), why=is_text)
_link_abilities = having(netem=_any, queue=lambda way: way in (None, "nft", "iptables"), copies=_any, resets=_any)

SHAPES: Mapping[str, Shape] = {
    "hello": Shape({"port": _is_port, "addresses": _is_addresses}),
    "configure": Shape(),
    "set": Shape(),
    "renew": Shape({"in_force": is_object}, {"undone": is_int}),
    "epoch": Shape(),
    "heard": Shape({"heard": by_name(_ints(4)), "period_s": is_number}),
    "burst": Shape(),
    "arrived": Shape({"arrived": by_name(_burst), "damaged": by_name(is_int)}),
    "arrived counts": Shape({"arrived": is_int, "sending": is_truth}),
    "process": Shape(
        {"pid": or_none(is_int), "state": or_none(is_text), "running": texts, "stopped": texts},
        {"started": or_none(is_int)},
    ),
    "time": Shape({"mono_ns": is_int, "wall_ns": is_int}),
    "clear": Shape({"undone": texts}),
    "heal": Shape({"undone": texts, "faults": list_of(_is_active)}),
    "look clock": Shape(
        {"readings": lambda value: _is_readings(value) and bool(value), "pid": or_none(is_int)},
        {
            "affected": is_truth,
            "why": texts,
            "means": texts,
            "processes": is_int,
            "uncounted": is_text,
            "left": list_of(is_int),
            "late": by_name(is_int),
        },
    ),
    "look clock try": Shape({"why": or_none(is_text)}),
    "look clock reach": Shape({"missed": texts}),
    "look clock standing": Shape({"readings": _is_readings}),
    "look disk": Shape(
        {
            "results": by_name(_is_lost),
            "forgot": _any,
            "pending_bytes": _any,
            "damage": list_of(_damage),
            "device": or_none(_device),
            "files": or_none(list_of(_any)),
        }
    ),
    "look disk lose_power": Shape({"lost": _is_lost}),
    "look limits abilities": Shape({"abilities": having(cpu=_means, memory=_means)}),
    "look limits cpu": Shape(
        {"pid": or_none(is_int), "inside": is_truth},
        {
            "means": is_text,
            "outside": texts,
            "quota_ppm": or_none(is_number),
            "share_ppm": or_none(is_number),
            "throttled": is_number,
        },
    ),
    "look limits memory": Shape(
        {
            "pid": or_none(is_int),
            "inside": is_truth,
            "group_bytes": is_int,
            "oom_kills": is_int,
            "probe_killed": or_none(is_truth),
        },
        {"means": is_text, "outside": texts, "resident_bytes": is_int},
    ),
    "look limits descriptors": Shape(
        {
            "pid": or_none(is_int),
            "descriptors": or_none(is_int),
            "open": or_none(is_int),
            "of_all": list_of(is_int),
        }
    ),
    "look links abilities": Shape({"abilities": _link_abilities}),
    "look links connections": Shape({"connections": _is_connections}),
    "look links counters": Shape({"counters": _any, "refused": is_int}),
    "look names abilities": Shape({"abilities": or_none(is_text)}),
    "look names names": Shape({"names": by_name(texts)}),
}

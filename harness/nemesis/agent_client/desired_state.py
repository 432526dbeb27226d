"""Desired state of each host, from what is active in the whole cluster: the agents' `wanted`, part by part.

Several faults may need a state of the same part of the same host; the part defines how these combine (`JOIN`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from .agents import Json

Want = tuple[str, str, Json]
"""(vertex, part, desired state of the part)."""

NOTHING_WANTED: Json = {}


def _unite(first: Json, second: Json) -> Json:
    return {name: sorted({*first.get(name, ()), *second.get(name, ())}) for name in {**first, **second}}


def _either(first: Json, second: Json) -> Json:
    return {name: bool(first.get(name)) or bool(second.get(name)) for name in {**first, **second}}


def _last(first: Json, second: Json) -> Json:
    return second


def _by_name(first: Json, second: Json) -> Json:
    """Merge the objects below each name; the later one wins where both have the same key."""
    return {name: {**first.get(name, {}), **second.get(name, {})} for name in {**first, **second}}


def _disk(first: Json, second: Json) -> Json:
    """Delays add up; other effects are present or not; one-time effects are listed."""
    one, other = first.get("trouble", {}), second.get("trouble", {})
    slow_ns = one.get("slow_ns", 0) + other.get("slow_ns", 0)
    trouble = {**one, **other, **({"slow_ns": slow_ns} if slow_ns else {})}
    lists = {name: [*first.get(name, ()), *second.get(name, ())] for name in {**first, **second} if name != "trouble"}
    return {**lists, **({"trouble": trouble} if trouble else {})}


def _least(first: Json, second: Json) -> Json:
    return {name: min(each[name] for each in (first, second) if name in each) for name in {**first, **second}}


JOIN: dict[str, Callable[[Json, Json], Json]] = {
    "cut": _unite,
    "process": _either,
    "clock": _last,
    "replacement": _last,
    "links": _by_name,
    "disk": _disk,
    "limits": _least,
    "slow_start": _last,
}
"""How the states that two faults need of one part combine, the later one second. Other parts combine by `_by_name`."""


def wanted_by_host(wants: Iterable[Want], hosts: Iterable[str]) -> dict[str, Json]:
    """Return every host's whole state; states for vertices that are not hosts (clients on the harness's machine) are omitted."""
    wanted: dict[str, Json] = {host: {} for host in hosts}
    for vertex, part, value in wants:
        if vertex in wanted:
            there = wanted[vertex].get(part)
            wanted[vertex][part] = value if there is None else JOIN.get(part, _by_name)(there, value)
    return wanted


def of_nodes(nodes: Iterable[str], part: str, value: Json) -> Iterator[Want]:
    """Yield the same state for each node."""
    for node in nodes:
        yield node, part, value

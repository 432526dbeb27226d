"""From what is in force in the whole cluster to what each host shall be like: the agents' `wanted`, part by part.

Several faults may want something of the same part of the same host; how that goes together is the part's affair (`JOIN`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from .agents import Json

Want = tuple[str, str, Json]
"""(vertex, part, what the part shall be like)."""

NOTHING_WANTED: Json = {}


def _unite(first: Json, second: Json) -> Json:
    return {name: sorted({*first.get(name, ()), *second.get(name, ())}) for name in {**first, **second}}


def _either(first: Json, second: Json) -> Json:
    return {name: bool(first.get(name)) or bool(second.get(name)) for name in {**first, **second}}


def _last(first: Json, second: Json) -> Json:
    return second


def _by_name(first: Json, second: Json) -> Json:
    return {name: {**first.get(name, {}), **second.get(name, {})} for name in {**first, **second}}


def _disk(first: Json, second: Json) -> Json:
    """Delays add up; other troubles are there or not; what is done once is listed."""
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
"""How what two faults want of one part goes together, the one that came later second; of other parts by name, the later one's word."""


def wanted_by_host(wants: Iterable[Want], hosts: Iterable[str]) -> dict[str, Json]:
    """Every host's whole state; wants of vertices that are no hosts of ours (clients beside the harness) are left out."""
    wanted: dict[str, Json] = {host: {} for host in hosts}
    for vertex, part, value in wants:
        if vertex in wanted:
            there = wanted[vertex].get(part)
            wanted[vertex][part] = value if there is None else JOIN.get(part, _by_name)(there, value)
    return wanted


def of_nodes(nodes: Iterable[str], part: str, value: Json) -> Iterator[Want]:
    """The same for each."""
    for node in nodes:
        yield node, part, value

"""Silence of a host that was switched off or frozen: whether anything on it still answers or sends.

It is probed from the clients' place at its SSH port, where a process would send a banner, a kernel alone accepts or refuses, and a host without power stays
silent; and by the probes of the other vertices, which hear nothing from a host that is off. Neither asks the provider that caused it.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from ...faults.fault import Observation

if TYPE_CHECKING:
    from ..base import Ground

GREETING_S = 0.5
NOTHING, KERNEL, PROCESS = "nothing", "its kernel", "a process"


def look(nodes: Sequence[str], ground: Ground, allowed: frozenset[str]) -> Observation:
    """Return whether nothing but what is in `allowed` answers on each of these hosts, and no vertex receives packets from them."""
    with ThreadPoolExecutor(max(1, len(nodes))) as pool:
        answers = dict(zip(nodes, pool.map(lambda name: _who_answers(ground, name), nodes), strict=True))
    links = ground.links()
    heard = _touching(nodes, links.observed.get("cut_but_heard", ()), sources=True)
    facts: dict[str, Any] = {"nodes": list(nodes), "answers": answers, **({"heard": heard} if heard else {})}
    return Observation(bool(nodes) and allowed.issuperset(answers.values()) and not heard, facts)


def look_recovered(nodes: Sequence[str], ground: Ground) -> Observation:
    """Return whether they can send and receive again, unless another fault prevents it."""
    missing = _touching(nodes, ground.links().observed.get("down_but_not_cut", ()))
    return Observation(not missing, {"down_but_not_cut": missing} if missing else {})


def _touching(nodes: Sequence[str], edges: Sequence[Sequence[str]], sources: bool = False) -> list[list[str]]:
    return [list(edge) for edge in edges if edge[0] in nodes or (not sources and edge[1] in nodes)]


def _who_answers(ground: Ground, name: str) -> str:
    host = ground.cluster.hosts[name]
    try:
        with ground.cluster.provider.dial(host.address, host.control[1], timeout_s=GREETING_S) as sock:
            try:
                sock.settimeout(GREETING_S)
                return PROCESS if sock.recv(1) else KERNEL
            except OSError:
                return KERNEL
    except ConnectionError:
        return KERNEL
    except OSError:
        return NOTHING

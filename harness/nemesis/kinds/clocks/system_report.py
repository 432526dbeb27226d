"""A system's own report of its wall clock, where its adapter can request it: `clock(host) -> ns` since 1970."""

from __future__ import annotations

import time
from typing import Protocol, runtime_checkable

from ....hosts.base import Host
from ...cluster.clock_readings import question
from ...faults.clock_settings import TOLERANCE_NS, Reading, Setting, is_as_set
from ..base import Ground

QUESTIONS = 3


@runtime_checkable
class Clocked(Protocol):
    def clock(self, host: Host) -> int:
        """Return the wall clock of the system's process on this host, in ns since 1970, by a request to the process."""
        ...


def asks(ground: Ground, setting: Setting) -> bool:
    """Return whether an answer, which takes milliseconds, can show such a setting."""
    return isinstance(ground.cluster.service, Clocked) and set(setting) == {"offset_ns"}


def reading(ground: Ground, node: str) -> Reading | None:
    """Return one reading in ns: how far the system's report is from its host's true time, and the error of that; None without an answer of the host. Its
    first field is no time, since one reading needs none.
    """
    host, service = question(ground.cluster.nodes, node, patient=True), ground.cluster.service
    if host is None or not isinstance(service, Clocked):
        return None
    taken = [_ask(service, ground.cluster.hosts[node]) for _ in range(QUESTIONS)]
    shown_ns, error_ns = min(taken, key=lambda each: each[1])
    return host.mono_ns, shown_ns - host.wall_ns, error_ns + host.error_ns


def shows(setting: Setting, seen: Reading) -> bool:
    return is_as_set(setting, [seen], max(TOLERANCE_NS, 2 * seen[2]))


def _ask(service: Clocked, host: Host) -> tuple[int, int]:
    """Return its answer minus our own wall clock in the middle of the request, and half of the request's duration."""
    before_ns, began_ns = time.time_ns(), time.monotonic_ns()
    said_ns = int(service.clock(host))
    took_ns = time.monotonic_ns() - began_ns
    return said_ns - before_ns - took_ns // 2, took_ns // 2 + 1

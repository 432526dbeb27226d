"""Checks of a service's answers: a user's service is foreign code, and a wrong answer must not fail deep in ours.

Each function asks one question, and raises `DeployError` naming the service, the question and the answer when that is not of the promised type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ..errors import DeployError
from ..hosts.base import Host
from .base import Dial, Service

SHOWN = 100
INIT = 1
"""No system is this process, and as a group it means every process of a host."""


class HasPid(Protocol):
    def pid(self, host: Host) -> int | None: ...


def pid_of(service: HasPid, host: Host) -> int | None:
    found = service.pid(host)
    if found is None or (isinstance(found, int) and not isinstance(found, bool) and found > INIT):
        return found
    raise _wrong(
        service, f"pid({host.name})", found, "the number of a process (other than 1, the host's init), or None"
    )


def leader_of(service: Service, hosts: Sequence[Host], dial: Dial) -> str | None:
    found = service.leader(hosts, dial)
    if found is None or isinstance(found, str):
        return found
    raise _wrong(service, "leader(hosts)", found, "the name of a node, or None")


def status_of(service: Service, host: Host, dial: Dial) -> Mapping[str, Any] | None:
    found = service.status(host, dial)
    if found is None or _is_status(found):
        return found
    raise _wrong(service, f"status({host.name})", found, "a mapping, its voters one of names to weights, or None")


def _is_status(found: Any) -> bool:
    if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
        return False
    voters = found.get("voters") or {}
    is_weight: Callable[[Any], bool] = lambda weight: isinstance(weight, int) and not isinstance(weight, bool)  # noqa: E731
    return isinstance(voters, Mapping) and all(is_weight(weight) for weight in voters.values())


def _wrong(service: object, question: str, found: Any, wanted: str) -> DeployError:
    text = repr(found)
    shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
    return DeployError(
        f"{type(service).__name__}.{question} answered {shown}", f"it answers {wanted}; see docs/guides/own-system.md"
    )

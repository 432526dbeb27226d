"""Members that leave and join again: the cluster moves their agents and takes their vote before it releases them, and their processes end.

A released process never becomes a member again: only the next process joins.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from ....errors import DeployError, FaultError
from ...cluster.control import Leavable
from ...faults.fault import Observation
from ..base import Ground
from ..processes.processes import is_gone, is_running, states
from .voters import Check, known_weights

MEMBERS_S = 40.0
"""Longer than for a change of voters: agents are moved first, and a member that is suspected wrongly must clear itself before it can leave."""
LOOK_S = 0.1
SEEN_S = 5.0
BACK = "ACTIVE"


def depart(ground: Ground, nodes: Sequence[str], check: Check, timeout_s: float = MEMBERS_S) -> None:
    """Let all of them leave, one after the other. Blocks every change of voters meanwhile: each would undo the other's."""
    service, hosts = _service(ground), list(ground.cluster.hosts.values())
    deadline_s = time.monotonic() + timeout_s
    if not ground.moving.acquire(timeout=timeout_s):
        raise FaultError(
            f"{', '.join(nodes)}: another change of voters took all the time, {timeout_s:g} s", "is there a quorum?"
        )
    try:
        while (known := known_weights(ground)) is None:
            if time.monotonic() > deadline_s:
                raise FaultError(
                    f"{', '.join(nodes)}: there was no leader that could remove them", "is there a quorum?"
                )
            time.sleep(LOOK_S)
        check(known)
        for node in nodes:
            service.leave(hosts, ground.cluster.dial, node, max(1.0, deadline_s - time.monotonic()))
    except DeployError as error:
        raise FaultError(error.message, error.hint) from None
    finally:
        ground.moving.release()


def come_back(ground: Ground, nodes: Sequence[str], timeout_s: float = MEMBERS_S) -> None:
    """Wait until they are members. One that was released after its fault had been given up still runs, and is restarted."""
    cluster = ground.cluster
    deadline_s = time.monotonic() + timeout_s
    anew_s = time.monotonic() + timeout_s / 2
    while missing := _not(ground, nodes, lambda state: state == BACK):
        now_s = time.monotonic()
        if now_s > deadline_s:
            raise FaultError(
                f"{', '.join(missing)} did not join again within {timeout_s:g} s",
                "can they reach a voter, or a seed, and is there a quorum?",
            )
        if now_s > anew_s:
            anew_s = deadline_s
            for name in _not(ground, missing, lambda state: state is not None):
                cluster.service.stop(cluster.hosts[name])
                cluster.start_service(name)
        time.sleep(LOOK_S)


def are_gone(ground: Ground, nodes: Sequence[str]) -> Observation:
    here = _wait(ground, nodes, lambda state: state is None)
    down = states(ground, list(nodes), lambda name, seen: is_gone(seen))
    return Observation(
        not here and down.verified, {"left": [name for name in nodes if name not in here], **down.observed}
    )


def are_back(ground: Ground, nodes: Sequence[str]) -> Observation:
    """Return whether these are members and run. A node that another fault holds down or paused is left out."""
    free = [name for name in nodes if name not in ground.force.killed | ground.force.paused | ground.force.off]
    missing = _wait(ground, free, lambda state: state is not None)
    runs = states(ground, free, lambda name, seen: is_running(seen)) if free else Observation(True, {})
    return Observation(
        not missing and runs.verified, {"members": [n for n in free if n not in missing], **runs.observed}
    )


def _wait(ground: Ground, nodes: Sequence[str], right: Callable[[str | None], bool]) -> list[str]:
    """Return those that are not right when the time is over."""
    deadline_s = time.monotonic() + SEEN_S
    while (wrong := _not(ground, nodes, right)) and time.monotonic() < deadline_s:
        time.sleep(LOOK_S)
    return wrong


def _not(ground: Ground, nodes: Sequence[str], right: Callable[[str | None], bool]) -> list[str]:
    """Return those whose state among the members is not right; all of them when it is unknown."""
    members: Mapping[str, str] | None = _service(ground).members(
        list(ground.cluster.hosts.values()), ground.cluster.dial
    )
    return list(nodes) if members is None else [name for name in nodes if not right(members.get(name))]


def _service(ground: Ground) -> Leavable:
    service = ground.cluster.service
    if not isinstance(service, Leavable):
        raise FaultError(
            f"system {service.name!r} has no members that leave",
            "remove the fault, or add `leave` and `members` to the service",
        )
    return service

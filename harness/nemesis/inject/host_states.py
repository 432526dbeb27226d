"""The last state that was sent to each host: the desired state, and the ownership record of its faults, so that anyone can heal without the run
folder.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from ..agent_client.agents import Json, ask, require
from ..agent_client.desired_state import NOTHING_WANTED, Want, wanted_by_host
from ..cluster.control import is_supervised
from ..faults.fault import Resolved
from ..registry import Ground, package_of

_STARTED = {"started_by_service": True}
"""Field of `process` that belongs to one change only."""


class HostStates:
    def __init__(self, ground: Ground) -> None:
        self._ground, self._cluster = ground, ground.cluster
        self._wanted: dict[str, Json] = {}
        self._faults: dict[str, list[Json]] = {}

    def begin(self) -> None:
        """Reset: the agents have just started, without any fault."""
        self._wanted = dict.fromkeys(self._cluster.firewalled, NOTHING_WANTED)

    def is_lapsed(self, name: str, answer: Json) -> bool:
        """Return whether a host with this answer has lost the state that it was sent; then it has none."""
        lapsed = self._wanted.get(name, NOTHING_WANTED) != NOTHING_WANTED and not answer["in_force"]
        if lapsed:
            self._wanted[name] = NOTHING_WANTED
        return lapsed

    def send(self, active: Iterable[Resolved]) -> None:
        """Send every host whose state changed its new one, all at once."""
        wants, faults = _asked_of_hosts(active, self._ground)
        wanted = wanted_by_host(wants, self._cluster.changeable())
        changed = {
            name: state
            for name, state in wanted.items()
            if self._wanted.get(name) != state or self._faults.get(name, []) != faults.get(name, [])
        }
        if not is_supervised(self._cluster.service):
            self._start_by_service(changed)
        for name in (*changed, *self._cluster.off):
            # What is active on a host that is off, or was, is known only after it was sent again.
            self._wanted.pop(name, None)
        requests = {
            name: {
                "do": "set",
                "wanted": state,
                "lease_s": self._cluster.lease_s,
                "faults": faults.get(name, []),
                "at_ns": time.time_ns(),
            }
            for name, state in changed.items()
        }
        answers, failures = ask(self._cluster.agents, requests)
        # Also when another host failed: a process that was killed here is started by its service later.
        self._wanted.update({name: _lasting(changed[name]) for name in answers})
        self._faults.update({name: faults.get(name, []) for name in answers})
        require((answers, failures), "changing the active faults")

    def _start_by_service(self, changed: Mapping[str, Json]) -> None:
        """Start killed processes through their service, which has no supervisor, so that the service's own bookkeeping stays right."""
        started = []
        for name, state in changed.items():
            was_killed = self._wanted.get(name, {}).get("process", {}).get("killed", False)
            if was_killed and not state.get("process", {}).get("killed", False):
                self._cluster.start_service(name)
                state["process"] = {**state.get("process", {}), **_STARTED}
                started.append(name)
        if started:
            self._cluster.await_pids(started)


def _asked_of_hosts(faults: Iterable[Resolved], ground: Ground) -> tuple[list[Want], dict[str, list[Json]]]:
    """Return the desired states of the hosts, and by host, the faults that need one."""
    wants: list[Want] = []
    by_host: dict[str, list[Json]] = {}
    for fault in faults:
        its = list(package_of(fault.intent.kind).wants(fault, ground))
        wants += its
        for name in {vertex for vertex, _, _ in its}:
            by_host.setdefault(name, []).append({"id": fault.intent.id, "kind": fault.intent.kind})
    return wants, by_host


def _lasting(state: Json) -> Json:
    lasting = {part: {name: v for name, v in value.items() if name not in _STARTED} for part, value in state.items()}
    return {part: value for part, value in lasting.items() if value}

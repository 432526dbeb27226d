"""Too little processor, memory or descriptors for a process; the host's agent limits it (`agent/parts/limits.py`)."""

from __future__ import annotations

import contextlib
import socket
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

from ....errors import FaultError
from ....hosts.base import Host
from ...agent_client.agents import Json, ask, require
from ...agent_client.desired_state import Want, of_nodes
from ...agent_client.one_question import ask_part
from ...faults.fault import Observation, Resolved
from ...topology.resolve import LIMITS
from ..base import Ground, Package, Probe
from .processes import is_running, states

PART = "limits"
TOLERANCE, SLACK_PPM = 1.25, 20_000
"""A processor is assigned in slices, so a look of half a second may see a slice too much."""
FILLING_S = 0.5
MOST_CONNECTIONS = 100
_SAME_LIMIT = (
    "import os, resource as r; r.prlimit(os.getppid(), r.RLIMIT_NOFILE, r.prlimit(os.getppid(), r.RLIMIT_NOFILE))"
)
NO_GROUPS = "run as root, on a kernel with the controllers cpu and memory, of cgroup v1 or passed on by the top group of v2; `tri doctor` says what there is"


class Limit(Package):
    """`key` is the limit's name in what is wanted of a host."""

    key: ClassVar[str]

    def wants(self, fault: Resolved, ground: Ground) -> Iterable[Want]:
        kind = fault.intent.kind
        return of_nodes(fault.what["nodes"], PART, {self.key: fault.what[LIMITS[kind]]})

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        kind = fault.intent.kind
        nodes = [name for name in fault.what["nodes"] if name in ground.on]
        limits = {name: ground.force.limits.get(name, {}).get(kind) for name in nodes}
        seen = self.ask([name for name in nodes if limits[name] is not None], ground, measure=True)
        seen |= self.ask([name for name in nodes if limits[name] is None], ground)
        before = ground.notes.get(fault.intent.id) or {}
        good = [name for name in nodes if self.shows(limits[name], seen[name], before.get(name))]
        told: dict[str, Any] = {"nodes": good, "seen": {name: _without_nothing(seen[name]) for name in nodes}}
        if off := [name for name in fault.what["nodes"] if name not in nodes]:
            # That host cannot be probed; its limits are applied when it is back.
            told["off"] = off
        verified = bool(good) and good == list(fault.what["nodes"])
        if not on and verified:
            back = states(ground, nodes, lambda name, process: name in ground.force.killed or is_running(process))
            verified, told["states"] = back.verified, back.observed["states"]
        return Observation(verified, told)

    def ask(self, nodes: Iterable[str], ground: Ground, measure: bool = False) -> dict[str, Json]:
        request = {"do": "look", "part": PART, "what": self.kinds[0], "measure": measure}
        return require(ask(ground.cluster.nodes, dict.fromkeys(nodes, request)), "looking at limited processes")

    @abstractmethod
    def shows(self, limit: int | None, seen: Json, before: Any) -> bool:
        """Return whether the observed process is under this limit, or under none, as `before`."""


def _without_nothing(seen: Json) -> Json:
    return {name: value for name, value in seen.items() if value is not None}


def _groups(host: Host, name: str) -> tuple[str | None, str]:
    found = ask_part(host, {"part": PART, "what": "abilities"})["abilities"][name]
    return found["means"], found["why"]


def _starves(host: Host) -> str:
    means, why = _groups(host, "cpu")
    return means or f"stopped and continued in turn ({why})"


def _limits_memory(host: Host) -> str:
    means, why = _groups(host, "memory")
    if means is None:
        raise FaultError(f"{host.name} cannot limit the memory of a process: {why}", NO_GROUPS)
    return means


def _limits_descriptors(host: Host) -> str:
    """Tried on the shell above: its limit is set to what it is."""
    tried = host.run([*host.sudo, host.python, "-I", "-c", _SAME_LIMIT], check=False)
    if tried.exit_code:
        said = tried.stderr.strip().splitlines()[-1:] or [f"exit {tried.exit_code}"]
        raise FaultError(
            f"{host.name}: the limit of another process cannot be set: {said[0]}", "log in as root, or with sudo"
        )
    return "the soft limit of the process"


class Cpu(Limit):
    kinds = ("cpu",)
    key = "share_ppm"
    abilities: ClassVar[Mapping[str, Probe]] = {"cpu": _starves}

    def shows(self, limit: int | None, seen: Json, before: Any) -> bool:
        if limit is None:
            # Another limit may keep the group.
            return seen["inside"] is False or seen["quota_ppm"] is None
        share_ppm = seen["share_ppm"]
        if share_ppm is None or share_ppm > limit * TOLERANCE + SLACK_PPM:
            return False
        # On a machine that has less than the limit anyway, no process is throttled.
        met = seen["throttled"] > 0 or share_ppm < limit
        return (seen["means"] == "signals" and not seen["inside"]) or bool(
            seen["inside"] and met and seen["quota_ppm"] == limit
        )


class Memory(Limit):
    kinds = ("memory",)
    key = "memory_bytes"
    abilities: ClassVar[Mapping[str, Probe]] = {"memory": _limits_memory}

    def shows(self, limit: int | None, seen: Json, before: Any) -> bool:
        if limit is None:
            return seen["inside"] is False or not seen["group_bytes"]
        # A process that was killed for it may be starting just now.
        limited = seen["inside"] and seen["group_bytes"] <= limit
        return bool(seen["oom_kills"]) or bool(limited and seen["probe_killed"] is not False)


class Descriptors(Limit):
    kinds = ("descriptors",)
    key = "descriptors"
    abilities: ClassVar[Mapping[str, Probe]] = {"descriptors": _limits_descriptors}

    def begin(self, fault: Resolved, ground: Ground) -> Json:
        free = [
            name
            for name in fault.what["nodes"]
            if name in ground.on and "descriptors" not in ground.force.limits.get(name, {})
        ]
        before = {name: seen["of_all"] for name, seen in self.ask(free, ground).items()}
        ground.notes[fault.intent.id] = before
        return {"before": before}

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        """Verify while more connections are opened to it than it may have: the number that it has shows that it got no more."""
        if not on:
            return super().look(fault, ground, on)
        limit = int(fault.what["limit"])
        with contextlib.ExitStack() as opened:
            nodes = [name for name in fault.what["nodes"] if name in ground.on]
            with ThreadPoolExecutor(32) as pool:
                dialled = [
                    pool.submit(_dial, ground, node) for node in nodes for _ in range(min(limit, MOST_CONNECTIONS))
                ]
                for sock in filter(None, (future.result() for future in dialled)):
                    opened.callback(sock.close)
            seen = super().look(fault, ground, on)
        exhausted = [name for name, process in seen.observed["seen"].items() if process.get("open", 0) >= limit]
        return Observation(seen.verified, {**seen.observed, "exhausted": exhausted})

    def shows(self, limit: int | None, seen: Json, before: Any) -> bool:
        if seen["descriptors"] is None:
            return False
        return (
            seen["of_all"] == [limit]
            if limit is not None
            else before is not None and set(seen["of_all"]) <= set(before)
        )


def _dial(ground: Ground, node: str) -> socket.socket | None:
    with contextlib.suppress(OSError):
        return ground.cluster.dial(node, FILLING_S)
    return None

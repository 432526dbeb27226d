"""`fd-limit`, in ledgers `descriptors`: a process may have only so many descriptors; files and connections beyond these fail.

Resolved: `{"nodes": ["n2"], "limit": 20}`.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, ClassVar

from pydantic import Field

from ....errors import FaultError
from ....hosts.base import Host
from ...agent_client.agents import Json
from ...catalog.kind import Sort
from ...catalog.random_forms import on_nodes
from ...catalog.timing import Aimed
from ...faults.fault import Observation, Resolved
from ..base import Ground, Probe
from .limit import LimitKind, LimitOnHosts

FILLING_S = 0.5
MOST_CONNECTIONS = 100
_SAME_LIMIT = (
    "import os, resource as r; r.prlimit(os.getppid(), r.RLIMIT_NOFILE, r.prlimit(os.getppid(), r.RLIMIT_NOFILE))"
)


class DescriptorsSpec(Aimed):
    """The process may have this many descriptors: connections and files beyond them fail, those that are open go on."""

    kind: ClassVar[str] = "descriptors"

    limit: Annotated[int, Field(ge=3, le=1_000_000)] = Field(description="the most open files and connections together")

    def parameters(self) -> dict[str, Any]:
        return {"target": self.target, "limit": self.limit}


def _limits_descriptors(host: Host) -> str:
    """Test it on the parent process, whose limit is set to what it is already."""
    tried = host.run([*host.sudo, host.python, "-I", "-c", _SAME_LIMIT], check=False)
    if tried.exit_code:
        said = tried.stderr.strip().splitlines()[-1:] or [f"exit {tried.exit_code}"]
        raise FaultError(
            f"{host.name}: the limits of other processes cannot be set: {said[0]}", "log in as root, or with sudo"
        )
    return "the soft limit of the process"


class OnHosts(LimitOnHosts):
    kinds = ("descriptors",)
    key, amount = "descriptors", "limit"
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
        """Verify the limit while connections are opened to each node, as many as its limit, at most `MOST_CONNECTIONS`. `exhausted` are the nodes that have
        no descriptor left.
        """
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


class FdLimit(LimitKind):
    name, word, spec = "descriptors", "fd-limit", DescriptorsSpec
    amounts = ("limit",)
    sorts: ClassVar[Mapping[str, Sort]] = {
        "fd-limit": on_nodes("fd-limit", {"limit": (8, 16)}, plain=True, stream="descriptors")
    }

    def on_hosts(self) -> OnHosts:
        return OnHosts()

    def simulated(self, ground: Any) -> Any:
        from ....simulator.faults.limits import DescriptorLimits

        return DescriptorLimits(ground)


KIND = FdLimit()

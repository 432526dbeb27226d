"""The status of a deployed cluster: each node's process and version from its host, its role and log position from the node itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tribulation.node.runtime.process.control import ARCHIVE

from ..errors import DeployError
from .cluster import Deployment, Seen
from .observe import Observed
from .upgrade import States

VERSION_LENGTH = 12


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One row. `version` is the beginning of the digest of the node's program, `current`: `tri deploy upgrade` would not change it; `lag` counts entries that others have
    committed and it has not. `error` None: it runs and answers."""

    host: str
    detail: str
    version: str | None = None
    current: bool | None = None
    role: str | None = None
    term: int | None = None
    commit: int | None = None
    lag: int | None = None
    uptime_s: float | None = None
    error: Exception | None = None

    @property
    def ok(self) -> bool:
        return self.error is None


def status_of(cluster: Deployment, seen: Seen, states: States) -> list[NodeStatus]:
    """A row for each host, independent of the results of the others."""
    committed = max((state["commit"] for state in states.values() if state), default=0)
    return [_row(cluster, host.name, seen[host.name], states.get(host.name), committed) for host in cluster.hosts]


def _row(
    cluster: Deployment, name: str, seen: Observed | Exception, state: Mapping[str, Any] | None, committed: int
) -> NodeStatus:
    if isinstance(seen, Exception):
        return NodeStatus(name, str(seen).splitlines()[0], error=seen)
    host = next(host for host in cluster.hosts if host.name == name)
    found = seen.files.get(ARCHIVE)
    version = found and found[:VERSION_LENGTH]
    current = None if found is None else found == cluster.program_of(host)
    if seen.node is None:
        hint = "start it with `tri deploy up`"
        error = DeployError(f"{cluster.service.name} is not running", hint)
        return NodeStatus(name, error.message, version, current, error=error)
    running = f"running, pid {seen.node}"
    if state is None:
        hint = "is its port open to this machine? paused and overloaded nodes do not answer either"
        error = DeployError(f"{running}, and it does not answer", hint)
        return NodeStatus(name, error.message, version, current, uptime_s=seen.node_s, error=error)
    commit = int(state["commit"])
    return NodeStatus(
        name, running, version, current, state["role"], state["term"], commit, committed - commit, seen.node_s
    )

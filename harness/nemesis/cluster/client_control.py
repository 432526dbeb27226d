"""Control of the workloads' clients, where each is a process of its own: used by the fault `client`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SeenClient:
    """One process of a client. `process` is its number among all client processes of the run. `state` is the kernel's letter, None when it is gone.
    `operation` is the one that it carries out, None without one.
    """

    slot: int
    workload: str
    node: str
    process: int
    state: str | None
    operation: str | None

    @property
    def is_stopped(self) -> bool:
        return self.state is not None and self.state in "Tt"


class ClientControl(Protocol):
    """Processes are named by the number that a `SeenClient` has."""

    def seen(self, processes: Sequence[int] | None = None) -> Mapping[int, SeenClient]:
        """Return these processes, as far as they are known; None: the current process of each slot. By process number."""
        ...

    def pause(self, processes: Sequence[int]) -> None: ...

    def resume(self, processes: Sequence[int]) -> None: ...

    def kill(self, processes: Sequence[int]) -> None:
        """Kill them; no other process starts for their slots until `release`."""
        ...

    def release(self, processes: Sequence[int]) -> None:
        """Start a process again for the slots of killed processes."""
        ...

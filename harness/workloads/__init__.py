"""Workloads by name: what clients do to the system under test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .agents import AgentSpec, AgentWorkload
from .base import Workload, WorkloadSpec
from .memory import MemorySpec, MemoryWorkload
from .race import Race, RaceSpec
from .register import SEEN, Register, RegisterSpec
from .sets import Set, SetSpec
from .tasks import TaskSpec, TaskWorkload
from .transactions import Transactions, TransactionSpec

WORKLOADS: dict[str, tuple[type[WorkloadSpec], Callable[[str, Any], Workload]]] = {
    "register": (RegisterSpec, Register),
    "set": (SetSpec, Set),
    "tasks": (TaskSpec, TaskWorkload),
    "agents": (AgentSpec, AgentWorkload),
    "memory": (MemorySpec, MemoryWorkload),
    "race": (RaceSpec, Race),
    "transactions": (TransactionSpec, Transactions),
}
"""Name in the campaign → (its spec, its maker). A later workload is a file and a line here."""

__all__ = [
    "SEEN",
    "WORKLOADS",
    "AgentSpec",
    "AgentWorkload",
    "MemorySpec",
    "MemoryWorkload",
    "Race",
    "RaceSpec",
    "Register",
    "RegisterSpec",
    "Set",
    "SetSpec",
    "TaskSpec",
    "TaskWorkload",
    "TransactionSpec",
    "Transactions",
    "Workload",
    "WorkloadSpec",
]

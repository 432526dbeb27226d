"""Workloads by name: what clients do to the system under test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .agents import AgentSpec, AgentWorkload
from .base import Workload, WorkloadSpec
from .isolation.bank import Bank, BankSpec
from .isolation.causal_reverse import CausalReverse, CausalReverseSpec
from .isolation.long_fork import LongFork, LongForkSpec
from .isolation.write_skew import WriteSkew, WriteSkewSpec
from .memory import MemorySpec, MemoryWorkload
from .objects.counter import Counter, CounterSpec
from .objects.locks import LeaderElection, Mutex, MutexSpec
from .objects.log import Log, LogSpec
from .objects.monotonic import Monotonic, MonotonicSpec
from .objects.queue import Queue, QueueSpec
from .objects.unique_ids import UniqueIds, UniqueIdsSpec
from .race import Race, RaceSpec
from .register import SEEN, CasRegister, CasRegisterSpec, Register, RegisterSpec
from .sets import Set, SetFull, SetFullSpec, SetSpec
from .tasks import TaskSpec, TaskWorkload
from .transactions import ListAppend, ListAppendSpec, RwRegister, RwRegisterSpec, Transactions, TransactionSpec

WORKLOADS: dict[str, tuple[type[WorkloadSpec], Callable[[str, Any], Workload]]] = {
    "register": (RegisterSpec, Register),
    "set": (SetSpec, Set),
    "tasks": (TaskSpec, TaskWorkload),
    "agents": (AgentSpec, AgentWorkload),
    "memory": (MemorySpec, MemoryWorkload),
    "race": (RaceSpec, Race),
    "transactions": (TransactionSpec, Transactions),
    "cas-register": (CasRegisterSpec, CasRegister),
    "set-full": (SetFullSpec, SetFull),
    "list-append": (ListAppendSpec, ListAppend),
    "rw-register": (RwRegisterSpec, RwRegister),
    "bank": (BankSpec, Bank),
    "long-fork": (LongForkSpec, LongFork),
    "write-skew": (WriteSkewSpec, WriteSkew),
    "causal-reverse": (CausalReverseSpec, CausalReverse),
    "monotonic": (MonotonicSpec, Monotonic),
    "counter": (CounterSpec, Counter),
    "queue": (QueueSpec, Queue),
    "mutex": (MutexSpec, Mutex),
    "leader-election": (MutexSpec, LeaderElection),
    "unique-ids": (UniqueIdsSpec, UniqueIds),
    "log": (LogSpec, Log),
}
"""Name in the campaign → (its spec, its maker). A new workload is a file and a line here."""

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

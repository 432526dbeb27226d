"""Every checker by name. A module is imported when its checker is requested, so one that fails to import affects no other."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module

from .base.result import Checker

CHECKERS: dict[str, tuple[str, str]] = {
    "linearizable": ("linearizability.checker", "LinearizableChecker"),
    "set": ("sets.checker", "SetChecker"),
    "quorum": ("quorum.checker", "QuorumChecker"),
    "split-brain": ("leadership.split_brain", "SplitBrainChecker"),
    "raft-safety": ("raft.safety", "RaftSafetyChecker"),
    "convergence": ("liveness.convergence", "ConvergenceChecker"),
    "availability": ("liveness.availability", "AvailabilityChecker"),
    "recovery": ("liveness.recovery", "RecoveryChecker"),
    "set-full": ("sets.set_full", "SetFullChecker"),
    "total-queue": ("workloads.queues.total_queue", "TotalQueueChecker"),
    "counter-bounds": ("workloads.objects.counter_bounds", "CounterBoundsChecker"),
    "unique-ids": ("workloads.objects.unique_ids", "UniqueIdsChecker"),
    "bank": ("workloads.isolation.bank", "BankChecker"),
    "long-fork": ("workloads.isolation.long_fork", "LongForkChecker"),
    "causal-reverse": ("workloads.isolation.causal_reverse", "CausalReverseChecker"),
    "write-skew": ("workloads.isolation.write_skew", "WriteSkewChecker"),
    "kafka": ("workloads.queues.kafka", "KafkaChecker"),
    "lww": ("workloads.objects.lww", "LwwChecker"),
    "crdt": ("workloads.objects.crdt", "CrdtChecker"),
    "tasks": ("workloads.cluster.tasks", "TasksChecker"),
    "memory": ("workloads.memory.checker", "MemoryChecker"),
    "agents": ("workloads.cluster.agents", "AgentsChecker"),
    "pool": ("workloads.cluster.pool", "PoolChecker"),
    "fencing-tokens": ("workloads.cluster.fencing", "FencingTokensChecker"),
    "failure-detector": ("workloads.cluster.failure_detector", "FailureDetectorChecker"),
    "membership": ("workloads.cluster.membership", "MembershipChecker"),
    "list-append": ("transactions.list_append", "ListAppendChecker"),
    "rw-register": ("transactions.rw_register", "RwRegisterChecker"),
    "causal": ("transactions.isolation", "CausalChecker"),
    "read-atomic": ("transactions.isolation", "ReadAtomicChecker"),
    "read-committed": ("transactions.isolation", "ReadCommittedChecker"),
    "session-guarantees": ("transactions.session_guarantees", "SessionGuaranteesChecker"),
    "sequential-keys": ("transactions.sequential_keys", "SequentialKeysChecker"),
    "queue": ("linearizability.structures.checker", "QueueChecker"),
    "stack": ("linearizability.structures.checker", "StackChecker"),
    "priority-queue": ("linearizability.structures.checker", "PriorityQueueChecker"),
    "counter": ("linearizability.structures.checker", "CounterChecker"),
    "mutex": ("linearizability.structures.checker", "MutexChecker"),
    "fenced-mutex": ("linearizability.structures.checker", "FencingChecker"),
    "list": ("linearizability.structures.checker", "AppendListChecker"),
    "administration": ("liveness.administration", "AdministrationChecker"),
    "upkeep": ("liveness.upkeep", "UpkeepChecker"),
    "halts": ("liveness.halts", "HaltsChecker"),
    "final-reads": ("soundness.final_reads", "FinalReadsChecker"),
    "vacuity": ("soundness.vacuity", "VacuityChecker"),
}
"""Name → (module in this package, class). The order is that of reports."""

RENAMED = {"fencing": "fenced-mutex", "append-list": "list"}
"""Names of checkers in version 0.1 that were too similar to `fencing-tokens` and `list-append`."""


OF_THE_RUN = frozenset(
    {
        *("quorum", "split-brain", "raft-safety", "convergence", "availability", "recovery"),
        *("tasks", "memory", "agents", "pool", "failure-detector", "membership"),
        *("administration", "upkeep", "halts", "final-reads", "vacuity"),
    }
)
"""Checkers that look at a run as a whole, or at what only the reference cluster has. The others judge operations, of the workloads that are theirs."""

OF_WORKLOAD = {"register": "linearizable", "set": "set", "tasks": "tasks", "memory": "memory"}
"""Workload → the checker that its operations are made for. In a run this checker must give a result, whatever the system answered."""


_ADDED: dict[str, Callable[[], Checker]] = {}
"""Checkers of plugins, by name."""


def add_checker(name: str, make: type[Checker]) -> None:
    """Register a checker of a plugin; one that was added under this name before is replaced."""
    CHECKERS[name] = (make.__module__, make.__qualname__)
    _ADDED[name] = make


def checker(name: str) -> Checker:
    """Return the checker of that name. Raises `KeyError` for an unknown one."""
    module, class_name = CHECKERS[name]
    if name in _ADDED:
        return _ADDED[name]()
    found: Checker = getattr(import_module(f".{module}", __package__), class_name)()
    return found


def about(name: str) -> str:
    """Return the description of a checker: the docstring of its module, or of its class if a plugin added it."""
    if name in _ADDED:
        return inspect.cleandoc(_ADDED[name].__doc__ or "")
    return inspect.cleandoc(import_module(f".{CHECKERS[name][0]}", __package__).__doc__ or "")

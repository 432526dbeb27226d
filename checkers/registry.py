"""Every checker by name. A module is imported when its checker is asked for, so that one that fails to import harms no other."""

from __future__ import annotations

from importlib import import_module

from .result import Checker

CHECKERS: dict[str, tuple[str, str]] = {
    "linearizable": ("linearizable", "LinearizableChecker"),
    "set": ("set_checker", "SetChecker"),
    "quorum": ("quorum", "QuorumChecker"),
    "split-brain": ("split_brain", "SplitBrainChecker"),
    "raft-safety": ("raft_safety", "RaftSafetyChecker"),
    "convergence": ("convergence", "ConvergenceChecker"),
    "availability": ("availability", "AvailabilityChecker"),
    "recovery": ("recovery", "RecoveryChecker"),
    "set-full": ("workloads.set_full", "SetFullChecker"),
    "total-queue": ("workloads.total_queue", "TotalQueueChecker"),
    "counter-bounds": ("workloads.counter_bounds", "CounterBoundsChecker"),
    "unique-ids": ("workloads.unique_ids", "UniqueIdsChecker"),
    "bank": ("workloads.bank", "BankChecker"),
    "long-fork": ("workloads.long_fork", "LongForkChecker"),
    "causal-reverse": ("workloads.causal_reverse", "CausalReverseChecker"),
    "write-skew": ("workloads.write_skew", "WriteSkewChecker"),
    "kafka": ("workloads.kafka", "KafkaChecker"),
    "lww": ("workloads.lww", "LwwChecker"),
    "crdt": ("workloads.crdt", "CrdtChecker"),
    "tasks": ("workloads.tasks", "TasksChecker"),
    "memory": ("workloads.memory", "MemoryChecker"),
    "agents": ("workloads.agents", "AgentsChecker"),
    "pool": ("workloads.pool", "PoolChecker"),
    "fencing-tokens": ("workloads.fencing", "FencingTokensChecker"),
    "failure-detector": ("workloads.failure_detector", "FailureDetectorChecker"),
    "membership": ("workloads.membership", "MembershipChecker"),
    "list-append": ("transactions.list_append", "ListAppendChecker"),
    "rw-register": ("transactions.rw_register", "RwRegisterChecker"),
    "causal": ("transactions.isolation", "CausalChecker"),
    "read-atomic": ("transactions.isolation", "ReadAtomicChecker"),
    "read-committed": ("transactions.isolation", "ReadCommittedChecker"),
    "session-guarantees": ("transactions.session_guarantees", "SessionGuaranteesChecker"),
    "sequential-keys": ("transactions.sequential_keys", "SequentialKeysChecker"),
    "queue": ("structures.checker", "QueueChecker"),
    "stack": ("structures.checker", "StackChecker"),
    "priority-queue": ("structures.checker", "PriorityQueueChecker"),
    "counter": ("structures.checker", "CounterChecker"),
    "mutex": ("structures.checker", "MutexChecker"),
    "fencing": ("structures.checker", "FencingChecker"),
    "append-list": ("structures.checker", "AppendListChecker"),
    "halts": ("halts", "HaltsChecker"),
    "final-reads": ("final_reads", "FinalReadsChecker"),
    "vacuity": ("vacuity", "VacuityChecker"),
}
"""Name → (module in this package, class). The order is that of reports."""


OF_WORKLOAD = {"register": "linearizable", "set": "set", "tasks": "tasks", "memory": "memory"}
"""Workload → the checker that its operations are made for. In a run it must have its say, whatever the system answered."""


def checker(name: str) -> Checker:
    """The checker of that name. Raises `KeyError` on an unknown one."""
    module, class_name = CHECKERS[name]
    found: Checker = getattr(import_module(f".{module}", __package__), class_name)()
    return found

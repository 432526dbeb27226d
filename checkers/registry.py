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
    "vacuity": ("vacuity", "VacuityChecker"),
}
"""Name → (module in this package, class). The order is that of reports."""


def checker(name: str) -> Checker:
    """The checker of that name. Raises `KeyError` on an unknown one."""
    module, class_name = CHECKERS[name]
    found: Checker = getattr(import_module(f".{module}", __package__), class_name)()
    return found

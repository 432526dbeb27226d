"""Checkers: pure functions from what was recorded to a verdict with its witness."""

from .registry import CHECKERS, checker
from .result import Anomaly, Budget, Checker, CheckResult, Fault, RunRecord, Verdict

__all__ = [
    "CHECKERS",
    "Anomaly",
    "Budget",
    "CheckResult",
    "Checker",
    "Fault",
    "RunRecord",
    "Verdict",
    "checker",
]

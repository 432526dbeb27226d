"""Checkers: pure functions from what was recorded to a verdict with its witness.

from tribulation.checkers import check, merge
results = check("runs/latest")                       # a path, a History, a RunRecord, or events as dictionaries
for name, result in results.items():
    print(name, result.verdict.value, *(anomaly.explanation for anomaly in result.anomalies))
"""

if __name__ != "tribulation.checkers":
    raise ImportError(f"{__name__!r} is a part of tribulation\n\nhint: import tribulation.checkers", name=__name__)

from .base.options import Option, OptionError
from .base.result import Anomaly, Budget, Checker, CheckResult, Fault, Gap, RunRecord, Verdict
from .registry import CHECKERS, checker
from .run_all import check, merge

__all__ = [
    "CHECKERS",
    "Anomaly",
    "Budget",
    "CheckResult",
    "Checker",
    "Fault",
    "Gap",
    "Option",
    "OptionError",
    "RunRecord",
    "Verdict",
    "check",
    "checker",
    "merge",
]

"""What adapters, workloads and checkers of one's own are written with; docs/guides/own-system.md and docs/guides/plugins.md show whole ones.

from tribulation.testing import Daemon, DriverClient, Op, Outcome
"""

from .checkers.base.result import Anomaly, Budget, CheckResult, RunRecord, Verdict
from .checkers.base.selection import judges
from .harness.errors import DeployError
from .harness.hosts.base import Host
from .harness.systems.adapter.daemon import Daemon, listens
from .harness.systems.adapter.driver import DriverClient
from .harness.systems.adapter.program import ProgramClient
from .harness.systems.adapter.running import RunningCgroup, RunningUnit
from .harness.systems.base import Client, Dial, Op, Outcome, Service
from .harness.workloads.base import (
    CHANGES,
    NEITHER,
    PREPARES,
    READS,
    Rate,
    Workload,
    WorkloadSpec,
    final_reads,
    final_try,
)
from .harness.workloads.generators import (
    SECOND_NS,
    Context,
    Emit,
    Generator,
    each,
    limit,
    listed,
    mix,
    per_key,
    phases,
    reserve,
    sequence,
    stagger,
    time_limit,
    until,
    until_ok,
)
from .harness.workloads.register import unique_value
from .histories import Operation, Type

__all__ = [
    "CHANGES",
    "NEITHER",
    "PREPARES",
    "READS",
    "SECOND_NS",
    "Anomaly",
    "Budget",
    "CheckResult",
    "Client",
    "Context",
    "Daemon",
    "DeployError",
    "Dial",
    "DriverClient",
    "Emit",
    "Generator",
    "Host",
    "Op",
    "Operation",
    "Outcome",
    "ProgramClient",
    "Rate",
    "RunRecord",
    "RunningCgroup",
    "RunningUnit",
    "Service",
    "Type",
    "Verdict",
    "Workload",
    "WorkloadSpec",
    "each",
    "final_reads",
    "final_try",
    "judges",
    "limit",
    "listed",
    "listens",
    "mix",
    "per_key",
    "phases",
    "reserve",
    "sequence",
    "stagger",
    "time_limit",
    "unique_value",
    "until",
    "until_ok",
]

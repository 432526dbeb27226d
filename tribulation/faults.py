"""What a kind of fault of one's own is written with; docs/guides/plugins.md shows a whole one.

from tribulation.faults import Aimed, FaultKind, Ground, Observation, Package, Resolved
"""

from .harness.errors import FaultError
from .harness.nemesis.catalog.kind import LEAVES_RUNNING, MAY_DAMAGE, FaultKind
from .harness.nemesis.catalog.timing import Aimed, Timing
from .harness.nemesis.faults.fault import Intent, Observation, Resolved, Situation
from .harness.nemesis.faults.targets import resolve_target
from .harness.nemesis.kinds.base import Ground, Package
from .harness.user_files.measured import Duration, PositiveDuration

__all__ = [
    "LEAVES_RUNNING",
    "MAY_DAMAGE",
    "Aimed",
    "Duration",
    "FaultError",
    "FaultKind",
    "Ground",
    "Intent",
    "Observation",
    "Package",
    "PositiveDuration",
    "Resolved",
    "Situation",
    "Timing",
    "resolve_target",
]

"""A killed process that starts slowly: `{"hold_ns": 3000000000}`, wanted while it is kept down.

When it is not wanted any more, the process has been restarted (by the previous part): it is stopped from its first moment, and the keeper continues it
when its time is over. Until then this state is active, so that the watchdog knows it; other changes on the host do not end it.
"""

from __future__ import annotations

import time
from typing import Any

from ..processes import processes
from .process import undone_line

Json = dict[str, Any]
NAME = "slow_start"


def claim(before: Json, wanted: Json, config: Json) -> Json:
    """`hold_ns` before the restart, `until_ns` on the host's monotonic clock and `stopped` ([pid, start time] pairs) since."""
    if wanted:
        return {**before, "hold_ns": wanted["hold_ns"], "process": config.get("process") or {}}
    return before


def change(claimed: Json, wanted: Json, config: Json) -> Json:
    if wanted or "hold_ns" not in claimed:
        return {} if over(claimed) else claimed
    until_ns = time.monotonic_ns() + claimed["hold_ns"]
    # A service without a supervisor has started another process than was known then.
    process = config.get("process") or claimed["process"]
    stopped = processes.pause(process)
    return {"until_ns": until_ns, "stopped": stopped, "process": process} if stopped else {}


def over(force: Json) -> bool:
    """Return whether the time is over; then continue the process."""
    if time.monotonic_ns() < force.get("until_ns", time.monotonic_ns() + 1):
        return False
    processes.resume(force["stopped"], force["process"])
    return True


def undo(force: Json) -> list[str]:
    """Find processes that were stopped, even if the program died before it recorded that."""
    return undone_line("slow start", processes.resume(force.get("stopped", ()), force.get("process")))

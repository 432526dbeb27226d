"""A machine's own wall clock, set wrong and then right again. Only if the inventory allows it; a local host must not be able to do this.

True time is computed from monotonic time, which nothing here changes: the recorded wall clock, plus the time that has elapsed since. Time
synchronisation would set the clock right again, so it is stopped meanwhile; exactly the services that were running are started afterwards. The
lease's deadline is monotonic too.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from typing import Any, Protocol

Json = dict[str, Any]

SYNC_UNITS = ("chrony", "chronyd", "ntp", "ntpd", "ntpsec", "openntpd", "systemd-timesyncd")
SYNC_PROGRAMS = frozenset({"chronyd", "ntpd", "openntpd", "systemd-timesyn"})
"""Their names, shortened to 15 characters as the kernel does."""
COMMAND_S = 20.0
TRIES = 5
AS_GOOD_AS_TRUE_NS = 100_000


class Machine(Protocol):
    """The actions on a machine, as an interface, so that the arithmetic can be tested without one."""

    def wall_ns(self) -> int: ...

    def mono_ns(self) -> int: ...

    def set_wall(self, wall_ns: int) -> None: ...

    def boot(self) -> str:
        """The identity of this boot: monotonic time starts again at each boot."""
        ...

    def running(self) -> list[str]:
        """Units that synchronise the clock and are active."""
        ...

    def stop(self, unit: str) -> None: ...

    def start(self, unit: str) -> None: ...

    def synchronisers(self) -> list[str]:
        """Names of processes that would correct the clock, whatever started them."""
        ...


def record(machine: Machine) -> Json:
    """Return the state before the change: enough to restore it. It must be on disk before the clock is changed."""
    before_ns, wall_ns, after_ns = machine.mono_ns(), machine.wall_ns(), machine.mono_ns()
    mono_ns = (before_ns + after_ns) // 2
    return {"boot": machine.boot(), "wall_ns": wall_ns, "mono_ns": mono_ns, "units": machine.running()}


def true_ns(machine: Machine, recorded: Json) -> int:
    return int(recorded["wall_ns"]) + machine.mono_ns() - int(recorded["mono_ns"])


def offset_ns(machine: Machine, recorded: Json) -> int:
    """Return the least of a few readings: an interruption between the two clocks makes a reading wrong."""
    return min((machine.wall_ns() - true_ns(machine, recorded) for _ in range(TRIES)), key=abs)


def move(machine: Machine, recorded: Json, by_ns: int) -> None:
    """Set the clock to this offset from true time. Raises `RuntimeError` while a process remains that would correct it."""
    for unit in recorded["units"]:
        machine.stop(unit)
    left = machine.synchronisers()
    if left:
        restore(machine, recorded)
        raise RuntimeError(f"{', '.join(left)} would correct the clock, and is not a service that could be stopped")
    machine.set_wall(true_ns(machine, recorded) + by_ns)


def restore(machine: Machine, recorded: Json) -> int:
    """Restore true time and its synchronisation; return the former offset. After a boot the clock is that of the hardware, without our offset."""
    off_ns = offset_ns(machine, recorded) if machine.boot() == recorded["boot"] else 0
    # A clock that could not be set need not be set back.
    if abs(off_ns) > AS_GOOD_AS_TRUE_NS:
        machine.set_wall(true_ns(machine, recorded))
    for unit in recorded["units"]:
        machine.start(unit)
    return off_ns


class Here:
    """System of this machine. Raises `OSError`, and `RuntimeError` for a unit that cannot be stopped or started."""

    wall_ns = staticmethod(time.time_ns)
    mono_ns = staticmethod(time.monotonic_ns)

    def set_wall(self, wall_ns: int) -> None:
        time.clock_settime_ns(time.CLOCK_REALTIME, wall_ns)

    def boot(self) -> str:
        with open("/proc/sys/kernel/random/boot_id", errors="surrogateescape") as file:
            return file.read().strip()

    def running(self) -> list[str]:
        return [unit for unit in SYNC_UNITS if _systemctl("is-active", "--quiet", unit) == 0]

    def stop(self, unit: str) -> None:
        if _systemctl("stop", unit) != 0:
            raise RuntimeError(f"systemctl stop {unit} failed: the clock would be corrected again")

    def start(self, unit: str) -> None:
        if _systemctl("start", unit) != 0:
            raise RuntimeError(f"systemctl start {unit} failed: the clock is correct, but no longer synchronised")

    def synchronisers(self) -> list[str]:
        found = set()
        for entry in os.listdir("/proc"):
            # Processes come and go.
            with contextlib.suppress(OSError):
                if entry.isdigit():
                    with open(f"/proc/{entry}/comm", errors="surrogateescape") as file:
                        found.add(file.read().strip())
        return sorted(found & SYNC_PROGRAMS)


def _systemctl(*words: str) -> int:
    """Return the exit code; without systemd, that of a missing command."""
    try:
        return subprocess.run(["systemctl", *words], capture_output=True, timeout=COMMAND_S).returncode
    except FileNotFoundError:
        return 127

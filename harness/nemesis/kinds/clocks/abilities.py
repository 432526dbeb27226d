"""Abilities of a host concerning wall clocks: whether they can be made wrong, and by which means."""

from __future__ import annotations

from ....errors import FaultError
from ....hosts.base import Host
from ....hosts.printed import understood, whole
from ...agent_client.one_question import ask_part
from ...cluster.clock_library import ClockLibrary, clock_of, on_trial

CAP_SYS_TIME = 25
# Set it to its present value: a microsecond is lost, and nothing else changes.
_SET = "import time; time.clock_settime_ns(time.CLOCK_REALTIME, time.clock_gettime_ns(time.CLOCK_REALTIME))"
_LIBRARY = "remove `clock: system` from the inventory to use the clock library"


def sets(host: Host) -> str:
    if clock_of(host) == "system":
        return _sets_its_own(host)
    with on_trial(host) as library:
        return "libfaketime" if library.only_sets else _by_shim(host, library)


def drifts_and_strobes(host: Host) -> str:
    if clock_of(host) == "system":
        raise FaultError(f"on {host.name} the machine's own clock can only be set ahead or back", _LIBRARY)
    with on_trial(host) as library:
        if library.only_sets:
            raise FaultError(
                f"on {host.name} wall clocks can be set, but not made to drift or strobe: libfaketime gives each process its own drift",
                "apt install gcc libc6-dev on the machine of the harness, for the clock library",
            )
        return _by_shim(host, library)


def _by_shim(host: Host, library: ClockLibrary) -> str:
    """Describe the support for clock faults with the preloaded library.

    Support for programs that bypass the library is tested by changing the clock of one.
    """
    why = ask_part(host, {"part": "clock", "try": library.block})["why"]
    return (
        "preloaded clock library, and the vDSO of Go and static programs"
        if why is None
        else f"preloaded clock library; Go and static programs are not supported: {why}"
    )


def _sets_its_own(host: Host) -> str:
    """Check first the privileges of the login: without them, as on local hosts, it is not even tested."""
    status = host.run([*host.sudo, "cat", "/proc/self/status"]).stdout
    with understood(host.name, status, "the status of a process"):
        held = next((whole(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:")), 0)
    if not held >> CAP_SYS_TIME & 1:
        raise FaultError(
            f"on {host.name} no process may set the clock: CAP_SYS_TIME is missing",
            f"{_LIBRARY}; or log in as root, or with sudo",
        )
    tried = host.run([*host.sudo, host.python, "-I", "-c", _SET], check=False)
    if tried.exit_code != 0:
        said = (tried.stderr.strip().splitlines() or ["no reason was printed"])[-1]
        raise FaultError(f"on {host.name} the clock cannot be set: {said}", _LIBRARY)
    return "the machine's own clock"

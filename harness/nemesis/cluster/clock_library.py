"""Installation of a clock library on a host, and the environment in which the service must be started so that its wall clock can be changed.

Our own shim is compiled on the harness's machine and used where it loads on the host; else libfaketime, where the host has it. libfaketime must leave
monotonic time alone (`FAKETIME_DONT_FAKE_MONOTONIC`): otherwise a jump back hangs timers.
"""

from __future__ import annotations

import contextlib
import functools
import platform
import shlex
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import FaultError, HostError
from ...hosts.programs import run_program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ...hosts.base import Host

SHIM, BLOCK = Path(__file__).with_name("clock_shim.c"), Path(__file__).with_name("clock_vdso.c")
BLOCK_MACHINE = "x86_64"
FLAT = "-ffreestanding -fPIE -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none -fno-tree-vectorize -fno-jump-tables"
LINKED_FLAT = "-mgeneral-regs-only -nostdlib -static -Wl,-Ttext=0,--oformat=binary,-e0,--build-id=none"
ZEROES = bytes(128)
"""Content of the library's file that means true time, as long as the area that the library maps."""


@dataclass(frozen=True, slots=True)
class ClockLibrary:
    """`library` is preloaded on the host, `file` is what it reads, `environment` makes a process use both. `block` is for the vDSO of processes that do
    not, if there is such a file.
    """

    library: str
    file: str
    environment: Mapping[str, str]
    block: str = ""

    @property
    def only_sets(self) -> bool:
        """Whether it can only set clocks ahead or back: libfaketime can drift, but starts the drift of each process at another time."""
        return self.file.endswith(".faketime")


@functools.cache
def build() -> bytes | None:
    """The compiled library for this machine, or None without a C compiler."""
    return _compiled(SHIM, ["-O2", "-shared", "-fPIC"], ["-ldl"])


@functools.cache
def build_block() -> bytes | None:
    """The code for the vDSO; None without a C compiler, and on machines whose vDSO is not known."""
    if platform.machine() != BLOCK_MACHINE:
        return None
    return _compiled(BLOCK, ["-Os", *FLAT.split()], LINKED_FLAT.split())


def _compiled(source: Path, options: Sequence[str], linked: Sequence[str]) -> bytes | None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory(prefix="tribulation-") as folder:
        made = Path(folder) / source.stem
        command = [compiler, *options, "-Wall", "-Wextra", "-Werror", "-o", str(made), str(source), *linked]
        hint = "apt install gcc libc6-dev, or libfaketime on the hosts"
        try:
            done = run_program(command, timeout_s=60)
        except HostError as error:
            raise FaultError(f"{source.name} does not compile: {error.message}", hint) from None
        if done.exit_code != 0:
            raise FaultError(f"{source.name} does not compile: {done.stderr.strip()[-2000:]}", hint)
        return made.read_bytes()


def shim(directory: str) -> ClockLibrary:
    """The paths of the library and its file, once installed."""
    library, file = f"{directory}/nemesis/clock_shim.so", f"{directory}/nemesis/clock"
    environment = {"LD_PRELOAD": library, "TRIBULATION_CLOCK": file}
    return ClockLibrary(library, file, environment, f"{directory}/nemesis/clock_vdso.bin")


def faketime(directory: str, library: str) -> ClockLibrary:
    file = f"{directory}/nemesis/clock.faketime"
    environment = {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": file,
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    return ClockLibrary(library, file, environment)


def install(host: Host) -> ClockLibrary:
    """Install it on the host and verify that it loads there. Raises `FaultError` where neither library works."""
    binary = build()
    reasons = ["no C compiler where the harness runs"]
    if binary is not None:
        machine = host.run(["uname", "-m"]).stdout.strip()
        chosen = shim(host.directory)
        if machine == platform.machine():
            host.put(binary, chosen.library, mode=0o755)
            _put_once(host, ZEROES, chosen.file)
            if block := build_block():
                host.put(block, chosen.block)
            if _loads(host, chosen):
                return chosen
        reasons = [f"the clock library built for {platform.machine()} does not load on {host.name} ({machine})"]
    found = host.run(
        "ls /usr/lib/*/faketime/libfaketimeMT.so.1 /usr/lib/faketime/libfaketimeMT.so.1 2>/dev/null | head -n 1",
        check=False,
    )
    if path := found.stdout.strip():
        chosen = faketime(host.directory, path)
        _put_once(host, b"+0\n", chosen.file)
        if _loads(host, chosen):
            return chosen
    reasons.append(f"no working libfaketime on {host.name}")
    raise FaultError(
        f"clock faults are not possible on {host.name}: {'; '.join(reasons)}",
        f"apt install gcc libc6-dev on the machine of the harness, or apt install libfaketime on {host.name}",
    )


@contextlib.contextmanager
def on_trial(host: Host) -> Iterator[ClockLibrary]:
    """Install the library while the block runs; one that was there before stays. Raises as `install` does."""
    was_there = installed(host) is not None
    try:
        yield install(host)
    finally:
        if not was_there:
            remove(host)


def remove(host: Host) -> None:
    """Remove the library's files from a host. No process that runs under it, or that is restarted, may need them."""
    ours = shim(host.directory)
    files = [ours.library, ours.file, ours.block, faketime(host.directory, "").file]
    host.run(
        f"rm -f -- {shlex.join(files)} && {{ rmdir {shlex.quote(str(Path(ours.file).parent))} 2>/dev/null || true; }}"
    )


def clock_of(host: Host) -> str:
    """Return `system` for a machine whose own clock was released in the inventory, else `library`."""
    return str(getattr(host, "clock", "library"))


def environment(host: Host) -> dict[str, str]:
    """Install the library and return the additions to the service's environment; nothing where faults set the machine's own clock."""
    return {} if clock_of(host) == "system" else dict(install(host).environment)


def installed(host: Host) -> ClockLibrary | None:
    """Return what `install` put on this host earlier, if anything."""
    if clock_of(host) == "system":
        return None
    own = shim(host.directory)
    if host.run(["test", "-e", own.library, "-a", "-e", own.file], check=False).exit_code == 0:
        return own
    listed = host.run(
        f"test -e {shlex.quote(f'{host.directory}/nemesis/clock.faketime')} && ls /usr/lib/*/faketime/libfaketimeMT.so.1 /usr/lib/faketime/libfaketimeMT.so.1 2>/dev/null | head -n 1",
        check=False,
    )
    return faketime(host.directory, path) if (path := listed.stdout.strip()) else None


def _loads(host: Host, chosen: ClockLibrary) -> bool:
    settings = [f"{name}={value}" for name, value in chosen.environment.items()]
    done = host.run(["env", *settings, host.python, "-c", "import time; time.time()"], check=False)
    # The loader reports a library that cannot be preloaded on stderr and otherwise ignores it.
    return done.exit_code == 0 and "ERROR: ld.so" not in done.stderr


def _put_once(host: Host, content: bytes, path: str) -> None:
    """Put a file unless there is one: running processes may have that mapped, and would not see a new one with its name."""
    if host.run(["test", "-s", path], check=False).exit_code != 0:
        host.put(content, path)

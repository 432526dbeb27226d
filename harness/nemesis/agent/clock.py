"""The wall clock that a process sees, through the file that its preloaded clock library reads; the machine's own clock is never set.

A `.faketime` file holds text for libfaketime and is replaced by a rename; any other holds the three 64-bit integers that
`clock_shim.c` maps: offset in ns, base in ns, rate in parts per billion from true (0: true).
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time

from .store import write_durably

READ = ("time.monotonic_ns()", "time.time_ns()", "time.monotonic_ns()")
SHIM = struct.Struct("=qqq")


def set_offset(path: str, offset_ns: int) -> None:
    if path.endswith(".faketime"):
        sign, (seconds, rest) = ("-" if offset_ns < 0 else "+"), divmod(abs(offset_ns), 10**9)
        write_durably(path, f"{sign}{seconds}.{rest:09d}\n")
        return
    # Written in place, since the processes have this very file mapped. An aligned 8-byte store is seen whole.
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if os.fstat(file).st_size < SHIM.size:
            os.pwrite(file, SHIM.pack(0, 0, 0), 0)
        os.pwrite(file, struct.pack("=q", offset_ns), 0)
    finally:
        os.close(file)


def get_offset(path: str) -> int:
    """The offset in ns; 0 when there is no such file."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return 0
    if path.endswith(".faketime"):
        text = content.decode().strip()
        whole, _, rest = text.lstrip("+-").partition(".")
        amount_ns = int(whole or 0) * 10**9 + int((rest or "0").ljust(9, "0")[:9])
        return -amount_ns if text.startswith("-") else amount_ns
    return int(SHIM.unpack(content[: SHIM.size])[0]) if len(content) >= SHIM.size else 0


def observe(environment: dict[str, str]) -> tuple[int, int]:
    """The offset that a fresh process sees under this environment, and its error, in ns: what the library does, whatever the file says.

    Both sides compare their wall clock with monotonic time, which no library moves, so how long the process took to start is no error.
    """
    program = f"import time; print({', '.join(READ)})"
    command = [sys.executable, "-S", "-E", "-c", program]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=10)
    if done.returncode != 0:
        raise RuntimeError(f"the clock library does not load: {done.stderr.strip()}")
    before_ns, wall_ns, after_ns = (int(word) for word in done.stdout.split())
    own_before_ns, own_wall_ns, own_after_ns = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
    shown_ns = wall_ns - (before_ns + after_ns) // 2
    true_ns = own_wall_ns - (own_before_ns + own_after_ns) // 2
    return shown_ns - true_ns, (after_ns - before_ns + own_after_ns - own_before_ns) // 2 + 1


def preloaded(pid: int, library: str) -> bool:
    """Whether the process has the library mapped; without it, it sees the true clock whatever the file says."""
    try:
        with open(f"/proc/{pid}/maps") as file:
            return any(line.rstrip().endswith(library) for line in file)
    except OSError:
        return False

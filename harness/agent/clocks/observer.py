"""View of a process under the clock library, found by running one: a process that is asked for its clocks, to be compared with our own true ones.

Both sides compare their wall clock with monotonic time, which no library moves, so how long a question takes is no error.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time

TRIES = 5
START_S = 60.0
ANSWER_S = 5.0
# The best of a few readings: one that is interrupted between two clocks says little.
_PROGRAM = f"""
import sys, time
mono, wall = time.monotonic_ns, time.time_ns
for _ in sys.stdin:
    print(*min(((mono(), wall(), mono()) for _ in range({TRIES})), key=lambda read: read[2] - read[0]), flush=True)
"""

Reading = tuple[int, int, int]
"""When (monotonic), how far what it sees is from true time, and the error of that, all in ns."""


class Observer:
    """One process; ends with `close`, or by itself when we die. Raises `RuntimeError` when it reports no time."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", _PROGRAM],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            # As long as it lives nothing on the host must be in its way.
            cwd="/",
        )
        try:
            self._ask(START_S)
        except RuntimeError:
            self.close()
            raise

    def read(self) -> Reading:
        before_ns, wall_ns, after_ns = self._ask(ANSWER_S)
        own = [(time.monotonic_ns(), time.time_ns(), time.monotonic_ns()) for _ in range(TRIES)]
        own_before_ns, own_wall_ns, own_after_ns = min(own, key=lambda read: read[2] - read[0])
        shown_ns = wall_ns - (before_ns + after_ns) // 2
        true_ns = own_wall_ns - (own_before_ns + own_after_ns) // 2
        return before_ns, shown_ns - true_ns, (after_ns - before_ns + own_after_ns - own_before_ns) // 2 + 1

    def watch(self, over_ns: int, readings: int) -> list[Reading]:
        """Return so many readings, spread evenly over `over_ns`."""
        began_ns, seen = time.monotonic_ns(), []
        for number in range(readings):
            due_ns = began_ns + (over_ns * number // (readings - 1) if readings > 1 else 0)
            time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
            seen.append(self.read())
        return seen

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Observer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, timeout_s: float) -> tuple[int, int, int]:
        stdin, stdout, stderr = self._process.stdin, self._process.stdout, self._process.stderr
        assert stdin is not None and stdout is not None and stderr is not None
        with contextlib.suppress(BrokenPipeError):
            stdin.write(b"\n")
        ready, _, _ = select.select([stdout], [], [], timeout_s)
        # A line this short comes in one piece.
        line = os.read(stdout.fileno(), 4096).decode() if ready else ""
        if not line.endswith("\n"):
            self._process.kill()
            said = stderr.read().decode(errors="replace").strip()[-500:]
            raise RuntimeError(f"a process under the clock library reports no time: {said or 'it prints nothing'}")
        before_ns, wall_ns, after_ns = (int(word) for word in line.split())
        return before_ns, wall_ns, after_ns

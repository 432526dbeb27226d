"""The shell program that keeps several processes on one host, so that each can be stopped, killed and started by itself. Pure.

Below the adapter's folder each process has `NAME.pid`, `NAME.log` and, while it must stay down, `NAME.down`. A process that ends by itself gets that
marker too; only a start removes it.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

POLL_S = 0.05

_KEEP = f"""keep() {{
    name=$1; shift
    while :; do
        while [ -e "$name.down" ]; do sleep {POLL_S}; done
        "$@" </dev/null >>"$name.log" 2>&1 &
        echo $! >"$name.pid"
        wait $!
        : >"$name.down"
    done
}}
"""


def program(processes: Mapping[str, Sequence[str]]) -> str:
    """The program; it runs in the adapter's folder, until it is killed with everything that it started."""
    starts = "".join(f"keep {shlex.quote(name)} {shlex.join(argv)} &\n" for name, argv in processes.items())
    return f"{_KEEP}{starts}wait\n"


def control(folder: str, name: str) -> dict[str, str]:
    """Return how an agent finds this process, and keeps it down."""
    return {"pid_file": f"{folder}/{name}.pid", "marker": f"{folder}/{name}.down"}

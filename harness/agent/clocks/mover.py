"""Moves of clocks in vDSOs, and their restoration, by a separate program (`agent.pyz clocks`): when it ends for whatever reason, the kernel continues all
threads that it had stopped.

A job is `{"move": [pid, …], "block": path, "file": clock file, "library": path}` or `{"restore": owner}`; its answer says of each pid what went
wrong.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from ..processes import proc, processes
from . import clock, reach, vdso
from .observer import Observer
from .stopping import CannotStop

Json = dict[str, Any]
JOB_S = 60.0
TRIES_S = 5.0
NO_CODE = "there is no code for it: this needs a C compiler on the machine of the harness, and x86_64 on both machines"
TRIED_NS = 3600 * 10**9
failures: dict[tuple[int, int], str] = {}
"""Why the clock of a process, known by pid and start, could not be moved when that was last tried."""


def reach_out(pids: Sequence[int], force: Json) -> list[int]:
    """Move the clocks of the processes that the preloaded library does not reach, by the active state of the clock part; returns their pids."""
    by = reach.Means(force["library"], force["file"])
    found = [pid for pid in pids if "why" in reach.look(pid, by)]
    move(found, force["block"], force["file"], force["library"])
    return [pid for pid in found if reach.look(pid, by).get("means") == reach.VDSO]


def why_not(pids: Sequence[int]) -> list[str]:
    """Return why the clocks of these processes could not be moved; nothing for one that was not tried."""
    known = [(pid, seen.started) for pid in pids if (seen := proc.read(pid)) is not None]
    return [failures[each] for each in known if each in failures]


def move(pids: Sequence[int], block: str, file: str, library: str) -> None:
    """Move the clocks of these processes. The reason of each failure is kept in `failures`."""
    if not pids:
        return
    answer = _in_another({"move": list(pids), "block": block, "file": file, "library": library})
    for pid in pids:
        if (known := proc.read(pid)) is not None:
            failures.pop((pid, known.started), None)
            if (why := answer.get(str(pid))) is not None:
                failures[pid, known.started] = why


def restore(owner: int) -> list[int]:
    """Restore the clocks that this owner moved; return the pids. Raises `RuntimeError` when one is still moved after `TRIES_S`."""
    deadline_s, restored = time.monotonic() + TRIES_S, set()
    # Again, since a process that was being moved may have forked.
    while moved := vdso.moved(owner):
        answer = _in_another({"restore": owner})
        restored |= {pid for pid in moved if str(pid) not in answer}
        if answer and time.monotonic() > deadline_s:
            raise RuntimeError(f"the clock of process {'; '.join(answer.values())}")
    return sorted(restored)


def tried(block: str) -> str | None:
    """Move the clock of a test process and restore it. Return why that failed on this host, or None."""
    if not os.path.exists(block):
        return NO_CODE
    with tempfile.TemporaryDirectory() as folder, Observer({}) as process:
        file = f"{folder}/clock"
        clock.put(file, {"offset_ns": TRIED_NS})
        move([process.pid], block, file, "")
        if failed := why_not([process.pid]):
            return failed[0]
        moved_ns = process.read()[1]
        restore(vdso.owner_of(file))
        left_ns = process.read()[1]
    if abs(moved_ns - TRIED_NS) > TRIED_NS // 4 or abs(left_ns) > TRIED_NS // 4:
        return f"a process whose clock was moved by {TRIED_NS} ns saw {moved_ns} ns, and {left_ns} ns afterwards"
    return None


def run(job: Json) -> Json:
    """Move or restore clocks, in the program of its own."""
    if "restore" in job:
        return _each(vdso.moved(job["restore"]), lambda pid: vdso.restore(pid, job["restore"]))
    with open(job["block"], "rb") as block, open(job["file"], "rb") as file:
        code, setting = block.read(), file.read()[: reach.SETTING_BYTES]
    owner = vdso.owner_of(job["file"])
    return _each(job["move"], lambda pid: vdso.move(pid, code, owner, setting, reach.flag_at(pid, job["library"])))


def _each(pids: Sequence[int], do: Any) -> Json:
    failed = {}
    for pid in pids:
        try:
            do(pid)
        except ProcessLookupError:
            continue
        except (CannotStop, OSError, ValueError) as error:
            if processes.alive(pid):
                failed[str(pid)] = f"{pid} cannot be moved: {error}"
    return failed


def _in_another(job: Json) -> Json:
    program = os.path.abspath(sys.argv[0])
    done = subprocess.run(
        [sys.executable, "-I", program, "clocks", os.path.dirname(program)],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=JOB_S,
        cwd="/",
    )
    if done.returncode != 0:
        raise RuntimeError(f"moving clocks failed: {done.stderr.strip()[-300:]}")
    answer: Json = json.loads(done.stdout)
    return answer

"""The watchdog on a host whose disk is full: its log takes nothing, and faults are undone even so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
GUARD = """
import sys, time
from tribulation.harness.agent import watchdog
from tribulation.harness.agent.state.store import Store
tries = []
def undo_all(store, who):
    tries.append(who)
    if len(tries) == 1:
        raise OSError(28, "No space left on device")
watchdog.undo_all = undo_all
watchdog.time.sleep = lambda seconds: None
store = Store(sys.argv[1])
store.renew(-1.0)
watchdog.run(store)
assert tries == ["watchdog"] * 2
"""


def test_a_log_that_takes_nothing_does_not_keep_faults_in_force(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", GUARD, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=full,
            env={"PYTHONPATH": str(ROOT)},
            timeout=60,
        )
    assert (done.returncode, done.stdout) == (0, b"armed\n")

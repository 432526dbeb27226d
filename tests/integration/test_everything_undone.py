"""A harness that dies in the middle of every fault that can be undone, all at once: each host is exactly as it was, without it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.host_state import differences, state_of
from tests.integration.running import Lab, RunningTri, await_that

UNDONE_WITHIN_S = 15.0
"""The lease of 10 s, and 5 s more."""
LOOK_S = 60.0


@pytest.mark.full
def test_after_kill_9_every_host_is_as_it_was_before_the_faults(started: Callable[..., RunningTri], labs: Path) -> None:
    run = started("long-everything.yaml")
    run.await_text("  load ")
    lab = Lab(run.lab, labs)
    before = _states(lab)
    assert not _verified(run), "the state before was taken too late"
    await_that(lambda: len(_verified(run)) == 14, "every fault is on", 120)
    assert all(_verified(run).values()), _verified(run)
    run.kill()
    killed_s = time.monotonic()
    time.sleep(UNDONE_WITHIN_S)
    after = _states(lab)
    print(f"looked {time.monotonic() - killed_s:.1f} s after the kill")
    changed = {name: found for name in before if (found := differences(before[name], after[name]))}
    assert not changed, json.dumps(changed, indent=1)
    lab.provider.close()


def _states(lab: Lab) -> dict[str, dict[str, object]]:
    with ThreadPoolExecutor(len(lab.places)) as pool:
        return dict(zip([place.name for place in lab.places], pool.map(state_of, lab.places), strict=True))


def _verified(run: RunningTri) -> dict[str, bool]:
    """Fault → whether it was seen, of those that were looked at."""
    return {line["id"]: line["verified"] for line in run.ledger() if line["phase"] == "verified"}

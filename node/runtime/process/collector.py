"""Policy of the garbage collector: no pause grows with the amount of data that the node keeps.

A node keeps much (log, keys, sessions) and makes few cycles; reference counts free nearly everything. A collector with the usual policy scans the
kept objects again and again: with 10^6 keys and a log of 10^5 entries, for tens of milliseconds at a time. So

- objects that exist at start are frozen: never scanned again;
- young objects are scanned after each `YOUNG` allocations, and after each fifth scan those that survived twice are frozen too;
- the oldest generation is never scanned, because it is always empty.

A cycle that lives long enough to be frozen is never freed. Tests ensure that the node makes none for a connection or a request.
"""

from __future__ import annotations

import gc
from typing import Any

YOUNG = 2_000
THRESHOLDS = (YOUNG, 5, 1_000_000)


def adopt() -> None:
    """Follow the policy from now on, in this process."""
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    if _freeze_survivors not in gc.callbacks:
        gc.callbacks.append(_freeze_survivors)


def _freeze_survivors(phase: str, info: dict[str, Any]) -> None:
    if phase == "stop" and info["generation"] > 0:
        gc.freeze()

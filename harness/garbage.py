"""The cyclic garbage collector, set to run rarely while millions of long-lived objects are made.

A simulation keeps its traces, and checkers their columns: the collector would walk all of them again and again (a tenth of a run's time)
to find next to nothing, for reference counts free what is not kept. Cycles are still found when there may be two million of them.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

RARELY = (2_000_000, 20, 1_000)


@contextmanager
def rare_collections() -> Iterator[None]:
    """Collect rarely while the body runs. May be nested."""
    before = gc.get_threshold()
    gc.set_threshold(*RARELY)
    try:
        yield
    finally:
        gc.set_threshold(*before)

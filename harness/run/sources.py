"""The simulator's version: a fingerprint of the sources that, together with the core, decide what a simulated run does.

With `tribulation.node.core_source` it is recorded in every simulated run, so that a replay by another version reports the version instead of
unexplained differences.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

DECISIVE = ("nemesis", "run", "simulator", "systems", "workloads")
"""Folders of the harness whose sources decide what a simulated run does."""


@lru_cache(maxsize=1)
def simulator_fingerprint() -> str:
    """Sixteen hexadecimal digits, equal for equal sources wherever they are."""
    harness = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for folder in DECISIVE:
        for path in sorted((harness / folder).rglob("*.py"), key=lambda path: path.relative_to(harness).as_posix()):
            digest.update(f"{path.relative_to(harness).as_posix()}\n{path.read_text(encoding='utf-8')}\n".encode())
    return digest.hexdigest()[:16]

"""Reduction of witnesses: parts are left out while the rest still proves the violation."""

from __future__ import annotations

import time
from collections.abc import Callable

_ALLOWED_S = 2.0


def smallest(parts: list[int], proves: Callable[[list[int]], bool], allowed_s: float = _ALLOWED_S) -> list[int]:
    """Return a subset of `parts` that still proves the violation, minimal unless `allowed_s` pass: large blocks are tried before small ones (Zeller's
    delta debugging).

    `proves(parts)` must hold. Only what is sound to leave out may be a part.
    """
    deadline = time.monotonic() + allowed_s
    block = max(1, len(parts) // 2)
    while True:
        at, removed = 0, False
        while at < len(parts) and len(parts) > 1:
            if time.monotonic() > deadline:
                return parts
            rest = parts[:at] + parts[at + block :]
            if rest and proves(rest):
                parts, removed = rest, True
            else:
                at += block
        if block > 1:
            block //= 2
        elif not removed:
            return parts

"""Work for workers of tests: at the top of a module of its own, so that other processes can import it."""

from __future__ import annotations

import os
import time
from pathlib import Path


def double(number: int) -> int:
    return 2 * number


def double_unless_seven(number: int) -> int:
    """Seven kills its worker."""
    if number == 7:
        os._exit(9)
    return 2 * number


def slow_when_early(number: int) -> int:
    """The first items end last."""
    time.sleep(0.05 if number < 3 else 0)
    return number


def die_once(place: str) -> str:
    """The first process to come here dies; later ones do not."""
    try:
        Path(place).touch(exist_ok=False)
    except FileExistsError:
        return "done"
    os._exit(9)


def refuse(number: int) -> int:
    raise ValueError(f"no {number}")


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds

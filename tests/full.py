"""Cases that only `make test-full` or `make fuzz` runs: more of what `make test` runs a sample of."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings


def full(*cases: Any) -> list[Any]:
    """The cases as parameters with the mark `full`."""
    return [pytest.param(case, marks=pytest.mark.full) for case in cases]


def examples(count: int) -> int:
    """`count` random examples where they are others each time (`make fuzz`), a third in `make test`, where they are always the same."""
    return count // 3 if settings.default.derandomize else count

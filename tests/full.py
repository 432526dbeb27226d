"""Cases that only `make test-full` runs: more of what `make test` runs a sample of."""

from __future__ import annotations

from typing import Any

import pytest


def full(*cases: Any) -> list[Any]:
    """The cases as parameters with the mark `full`."""
    return [pytest.param(case, marks=pytest.mark.full) for case in cases]

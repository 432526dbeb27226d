"""Budgets count processor time in these tests: no verdict depends on how busy the machine is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="package", autouse=True)
def budgets_of_processor_time() -> Iterator[None]:
    # Imported here and not with this file: the mutation runner measures what the collection of tests imports.
    from tribulation.checkers import Budget

    (time_s, memory_mb, _) = defaults = Budget.__init__.__defaults__
    Budget.__init__.__defaults__ = (time_s, memory_mb, True)
    yield
    Budget.__init__.__defaults__ = defaults

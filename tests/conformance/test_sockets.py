"""The socket runtime passes the drivers' conformance suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .socket_driver import SocketDriver
from .suite import Scenario, scenarios_for


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[SocketDriver]:
    driver = SocketDriver(tmp_path)
    yield driver
    driver.close()


@pytest.mark.parametrize("scenario", scenarios_for(SocketDriver.capabilities), ids=lambda scenario: scenario.__name__)
def test_conformance(driver: SocketDriver, scenario: Scenario) -> None:
    scenario(driver)

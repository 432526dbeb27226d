"""The simulator keeps the contract between core and driver: the suite that the socket runtime passes too."""

from __future__ import annotations

import pytest

from tests.conformance.suite import Scenario, scenarios_for

from .sim_driver import SimDriver


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scenario", scenarios_for(SimDriver.capabilities), ids=lambda scenario: scenario.__name__)
def test_the_simulator_conforms(scenario: Scenario, seed: int) -> None:
    driver = SimDriver(seed)
    try:
        scenario(driver)
    finally:
        driver.close()

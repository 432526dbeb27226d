"""All 24 scenarios of the acceptance run, by number."""

from __future__ import annotations

from ..scenario import Scenario
from . import discovery, failure, integration, load, memory, performance, remote

SCENARIOS: dict[int, Scenario] = {
    scenario.number: scenario
    for scenario in sorted(
        (
            *discovery.SCENARIOS,
            *remote.SCENARIOS,
            *memory.SCENARIOS,
            *failure.SCENARIOS,
            *load.SCENARIOS,
            *performance.SCENARIOS,
            *integration.SCENARIOS,
        ),
        key=lambda scenario: scenario.number,
    )
}

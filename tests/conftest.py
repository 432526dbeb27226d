"""Settings of all tests: no verdict of a test may depend on how busy the machine is, or on luck.

The suite's random examples are the same ones each time, so that a change is judged by what it changes. `make fuzz` runs the same tests with
other examples each time (`--hypothesis-profile explore`).
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from .at_once import HostsFirst, yield_processors

common = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "print_blob": True}
settings.register_profile("suite", derandomize=True, **common)
settings.register_profile("explore", derandomize=False, **common)
settings.load_profile("suite")


def pytest_configure(config: pytest.Config) -> None:
    if worker := getattr(config, "workerinput", {}).get("workerid"):
        yield_processors(worker)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    return HostsFirst(config, log) if config.getvalue("dist") == "loadfile" else None

"""Settings of all tests: no verdict of a test may depend on how busy the machine is, or on luck.

The suite's random examples are the same ones each time, so that a change is judged by what it changes. `make fuzz` runs the same tests with
other examples each time (`--hypothesis-profile explore`).

`make test WORKERS=3` runs three tests at once, but at most two of those that start hosts and processes: these wait much, and disturb each
other when there are more of them. Each of the two groups is the work of one process of pytest-xdist, from the start; every other file is handed out by itself.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings

common = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "print_blob": True}
settings.register_profile("suite", derandomize=True, **common)
settings.register_profile("explore", derandomize=False, **common)
settings.load_profile("suite")

ON_HOSTS = {
    "tests/harness/nemesis/": "hosts-1",
    "tests/harness/hosts/": "hosts-1",
    "tests/integration/": "hosts-2",
    "tests/testbed/": "hosts-2",
    "tests/conformance/": "hosts-2",
    "tests/node/runtime/": "hosts-2",
    "tests/harness/adapters/": "hosts-2",
    "tests/harness/cluster/": "hosts-2",
    "tests/harness/deploy/": "hosts-2",
    "tests/harness/systems/": "hosts-2",
}
"""Folders whose tests start hosts and processes, and the group of each: both groups take about as long."""


def group_of(file: str) -> str:
    return next((group for folder, group in ON_HOSTS.items() if file.startswith(folder)), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """For `--dist loadfile` and three workers or more. The largest groups are handed out first, which are the two of `ON_HOSTS`."""
    if config.getvalue("dist") != "loadfile" or (config.getvalue("numprocesses") or 0) < 3:
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByGroup(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(super()._split_scope(nodeid))

    return ByGroup(config, log)

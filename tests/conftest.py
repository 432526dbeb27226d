"""Settings of all tests: no verdict of a test may depend on how busy the machine is, or on luck.

The suite's random examples are the same ones each time, so that a change is judged by what it changes. `make fuzz` runs the same tests with
other examples each time (`--hypothesis-profile explore`).
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

common = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "print_blob": True}
settings.register_profile("suite", derandomize=True, **common)
settings.register_profile("explore", derandomize=False, **common)
settings.load_profile("suite")

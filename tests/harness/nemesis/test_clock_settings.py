"""What is seen of a wall clock is judged by what was set: a clock that runs as set is recognised, one that does not is not."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from tribulation.harness.nemesis.faults.clock_settings import (
    TRUE,
    Reading,
    Setting,
    is_as_set,
    look_for,
    rate_ppm,
    settings_of,
)

MS, SECOND = 10**6, 10**9
signs = st.sampled_from([-1, 1])
offsets = st.builds(lambda sign, ns: {"offset_ns": sign * ns}, signs, st.integers(2 * MS, 3600 * SECOND))
drifts = st.builds(lambda sign, ppm: {"drift_ppm": sign * ppm}, signs, st.integers(20, 200_000))
strobes = st.builds(
    lambda sign, ns, period_ns: {"strobe_ns": sign * ns, "period_ns": period_ns},
    signs,
    st.integers(2 * MS, 3600 * SECOND),
    st.integers(2 * MS, 10 * SECOND),
)
settings = st.one_of(st.just(TRUE), offsets, drifts, strobes)
errors_ns = st.integers(0, 5_000)


def shown_ns(setting: Setting, since_ns: int) -> int:
    """As the shim has it."""
    by = setting.get("offset_ns", 0) + since_ns * setting.get("drift_ppm", 0) // 1_000_000
    period_ns = setting.get("period_ns", 0)
    return by + (setting["strobe_ns"] if period_ns and since_ns % period_ns < period_ns // 2 else 0)


def seen(setting: Setting, looked_for: Setting, late_ns: int, error_ns: int) -> list[Reading]:
    look = look_for(looked_for, setting)
    times = [late_ns + look.over_ns * i // max(1, look.readings - 1) for i in range(look.readings)]
    return [(at_ns, shown_ns(setting, at_ns) + error_ns // 2, error_ns) for at_ns in times]


@given(settings, st.integers(0, 3600 * SECOND), errors_ns)
def test_a_clock_that_is_as_set_is_recognised(setting: Setting, late_ns: int, error_ns: int) -> None:
    assert is_as_set(setting, seen(setting, setting, late_ns, error_ns))


@given(settings, settings, st.integers(0, SECOND), errors_ns)
def test_a_clock_that_is_not_as_set_is_not(wanted: Setting, there: Setting, late_ns: int, error_ns: int) -> None:
    assume(all(wanted.get(name, 0) != there.get(name, 0) for name in {*wanted, *there}))
    # Two amounts of one kind may hardly differ; two kinds never look alike, and a look is for the wrong clock as well as for the right one.
    assume(set(wanted) != set(there))
    readings = seen(there, there if "drift_ppm" in there else wanted, late_ns, error_ns)
    assert not is_as_set(wanted, readings)


def test_readings_that_report_nothing_prove_nothing() -> None:
    assert not is_as_set(TRUE, [(0, 0, 10 * MS)])
    assert not is_as_set(TRUE, [])
    assert rate_ppm([(5, 1, 1), (5, 1, 1)]) is None
    assert not is_as_set({"drift_ppm": 50}, [(0, 0, 90_000), (SECOND, 50_000, 90_000)]), "the error hides the drift"


def test_settings_by_node_of_each_form() -> None:
    assert settings_of({"offsets_ns": {"n1": 5}}) == {"n1": {"offset_ns": 5}}
    assert settings_of({"drift_ppm": {"n1": -5}, "monotonic": False}) == {"n1": {"drift_ppm": -5}}
    assert settings_of({"strobe_ns": {"n2": 7}, "period_ns": 9}) == {"n2": {"strobe_ns": 7, "period_ns": 9}}

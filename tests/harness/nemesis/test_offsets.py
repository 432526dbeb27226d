"""A host's clock against the harness's, over a whole run: folded sample by sample, as if all had been kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tribulation.harness.nemesis.cluster.clock_readings import Clocks, ClockSample

samples = st.lists(st.builds(ClockSample, st.integers(-30, 30), st.just(0), st.integers(1, 20)), min_size=1, max_size=8)


@given(samples)
def test_the_best_sample_widened_to_where_the_others_contradict_it(taken):
    clocks = Clocks({})
    for sample in taken:
        clocks.learn({"n1": sample})
    best = min(taken, key=lambda sample: sample.error_ns)
    drift_ns = max(abs(sample.mono_ns - best.mono_ns) - sample.error_ns for sample in taken)
    assert clocks.monotonic_offsets_ns() == {"n1": (best.mono_ns, max(best.error_ns, drift_ns))}

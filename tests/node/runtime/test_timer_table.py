"""The timer table against a model: a dictionary of what is set."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tribulation.node.runtime.loop.timers import TimerTable

keys = st.sampled_from(["election", "heartbeat", "request.1"])
actions = st.one_of(
    st.tuples(st.just("set"), keys, st.integers(0, 100)),
    st.tuples(st.just("cancel"), keys, st.just(0)),
    st.tuples(st.just("due"), st.just(""), st.integers(0, 100)),
)


@given(st.lists(actions, max_size=60))
def test_fires_what_is_set_and_nothing_else(steps: list[tuple[str, str, int]]) -> None:
    table = TimerTable()
    model: dict[str, tuple[int, int]] = {}
    for generation, (action, key, at_ns) in enumerate(steps):
        if action == "set":
            table.set(key, generation, at_ns)
            model[key] = (at_ns, generation)
        elif action == "cancel":
            table.cancel(key)
            model.pop(key, None)
        else:
            expected = sorted((at, g, k) for k, (at, g) in model.items() if at <= at_ns)
            assert table.due(at_ns) == [(k, g) for _, g, k in expected]
            for _, _, k in expected:
                del model[k]
        assert table.next_ns() == min((at for at, _ in model.values()), default=None)
        assert len(table) == len(model)


def test_replacing_a_timer_for_ever_takes_no_memory() -> None:
    """An election timer is replaced with every heartbeat."""
    table = TimerTable()
    for at_ns in range(10_000):
        table.set("election", at_ns, 1_000_000 + at_ns)
    assert len(table._heap) < 100
    assert table.due(2_000_000) == [("election", 9_999)]

"""The live view's figures: rates, silence, faults, and one line for each node."""

from __future__ import annotations

from tribulation.harness.run.live.pulse import SECONDS, Pulse

MS, S = 1_000_000, 1_000_000_000


def _done(pulse: Pulse, at_ns: int, node: str, kind: str = "ok", took_ns: int = 2 * MS, **extra: object) -> None:
    pulse.invoked(at_ns - took_ns, 7)
    pulse.completed(at_ns, 7, node, kind, extra)


def test_the_line_has_time_outcomes_rate_term_and_faults_without_their_digests() -> None:
    pulse = Pulse()
    for at in range(10):
        _done(pulse, 2 * S + at * 50 * MS, "n1", term=at // 5)
    _done(pulse, 3 * S, "n2", "info")
    assert pulse.line(3 * S, 20 * S, ["cut-leader-minority-310494.1", "kill-leader.1"]) == (
        "3 of 20 s · ok 10 · fail 0 · info 1 · 10 ok/s · term 1 · cut-leader-minority, kill-leader.1"
    )
    assert pulse.line(25 * S, 20 * S, []) == "25 s · ok 10 · fail 0 · info 1 · 0 ok/s · term 1 · no fault"


def test_silence_is_named_while_load_runs() -> None:
    pulse = Pulse()
    _done(pulse, 1 * S, "n1")
    assert "nothing ok" not in pulse.line(1 * S + 900 * MS, 20 * S, [])
    assert pulse.line(4 * S, 20 * S, []).endswith("nothing ok for 3.0 s")
    assert "nothing ok" not in pulse.line(30 * S, 20 * S, [])


def test_each_node_has_a_line_with_its_slowest_operations() -> None:
    pulse = Pulse()
    _done(pulse, 1 * S, "n2", took_ns=1 * MS)
    _done(pulse, 3 * S, "n2", took_ns=900 * MS)
    _done(pulse, 3 * S, "n1", "fail")
    n1, n2 = pulse.table(4 * S)
    assert n1.startswith("n1  ok       0 · fail     1") and n2.startswith("n2  ok       2")
    assert n2.endswith(" ▁ ▇ ")
    assert n2.count("1 ok/s") == 1


def test_it_does_not_grow_with_the_run() -> None:
    pulse = Pulse()
    for second in range(1000):
        _done(pulse, second * S, "n1")
    assert len(pulse._nodes["n1"].seconds) == SECONDS
    assert pulse._begun_ns == {}

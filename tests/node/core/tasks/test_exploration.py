"""Random troubles: with a correct node every task ends and has each effect once; with each flaw some do not."""

from __future__ import annotations

import pytest

from .explore import explore


@pytest.mark.parametrize("start", range(0, 120, 20))
def test_every_task_ends_and_has_each_effect_once(start: int) -> None:
    for seed in range(start, start + 20):
        assert explore(seed) == [], f"repeat with explore({seed})"


@pytest.mark.parametrize(
    ("flaw", "words"),
    [
        ("result-without-token-check", "took effect twice"),
        ("task-lost-on-failover", "not everything ended"),
        ("lost-worker-acknowledged", "done without the effect"),
    ],
)
def test_a_flaw_shows(flaw: str, words: str) -> None:
    assert any(words in problem for seed in range(20) for problem in explore(seed, (flaw,)))

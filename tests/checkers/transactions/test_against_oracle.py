"""A sample of the fuzz (`fuzz`): verdicts on transactions against every order of a few of them. Fixed seeds; a failure names the one to repeat."""

from __future__ import annotations

import pytest

from tribulation.checkers import Verdict

from .fuzz import CASES, agree


@pytest.mark.parametrize("name", CASES)
def test_verdicts_equal_the_oracles(name: str) -> None:
    seen = {agree(CASES[name], seed) for seed in range(100)}
    assert {Verdict.VALID, Verdict.INVALID} <= seen, f"only {seen}: nothing was tried"

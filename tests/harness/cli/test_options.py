"""Options that several commands have: what is a length of time, and what is none."""

from __future__ import annotations

import click
import pytest

from tribulation.harness.cli.options import DurationType


@pytest.mark.parametrize(("text", "seconds"), [("60s", 60.0), ("2m", 120.0), ("1.5", 1.5), ("500ms", 0.5)])
def test_a_duration_is_told_in_seconds(text: str, seconds: float) -> None:
    assert DurationType().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["0", "0s", "-1", "-5s", "nan", "inf", "soon", "1e300", "1001h"])
def test_what_cannot_pass_is_refused_with_the_value(text: str) -> None:
    with pytest.raises(click.BadParameter, match=text):
        DurationType().convert(text, None, None)

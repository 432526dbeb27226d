"""Quantities: what people write is what the code holds, and a number without a unit is refused. Here durations; `nemesis/test_links_pure.py` has rates, `test_capabilities.py` chances."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from tribulation.harness.user_files.measured import Duration, PositiveDuration, SignedDuration
from tribulation.harness.user_files.quantities import format_ns, parse_ns


@pytest.mark.parametrize(
    ("text", "duration_ns"),
    [
        ("8s", 8_000_000_000),
        ("500ms", 500_000_000),
        ("1.5s", 1_500_000_000),
        ("1m30s", 90_000_000_000),
        ("2h", 7_200_000_000_000),
        ("-60s", -60_000_000_000),
        ("+3us", 3_000),
        ("7ns", 7),
        ("0", 0),
        (0, 0),
    ],
)
def test_reads_what_people_write(text: str | int, duration_ns: int) -> None:
    assert parse_ns(text) == duration_ns


@pytest.mark.parametrize("text", ["8", 8, 1.5, "", "s", "8 s", "8sec", "1s-2ms", True, False, None, "0.5ns", "\u0663s"])
def test_refuses_what_could_mean_something_else(text: object) -> None:
    with pytest.raises(ValueError, match=r"is not a valid duration|finer than"):
        parse_ns(text)


@given(st.integers(min_value=-(10**16), max_value=10**16))
def test_what_is_written_is_read_back(duration_ns: int) -> None:
    assert parse_ns(format_ns(duration_ns)) == duration_ns


class _Model(BaseModel):
    signed: SignedDuration = 0
    plain: Duration = 0
    positive: PositiveDuration = 1


def test_a_model_survives_json() -> None:
    model = _Model.model_validate({"signed": "-1.5s", "plain": "0s", "positive": "20ms"})
    assert model.model_dump(mode="json") == {"signed": "-1s500ms", "plain": "0s", "positive": "20ms"}
    assert _Model.model_validate(model.model_dump(mode="json")) == model


@pytest.mark.parametrize("fields", [{"plain": "-1s"}, {"positive": "0s"}, {"positive": "-1s"}])
def test_signs_are_checked(fields: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="this duration must be"):
        _Model.model_validate(fields)

"""The decoders' properties without a guide (`decoders`): the seeds, and damaged ones."""

from __future__ import annotations

import os
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .decoders import seeds, targets
from .files import DAMAGES

FUZZ = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "200")), deadline=None, suppress_health_check=list(HealthCheck)
)
DECODERS = targets()
SEEDS = seeds(1)


def test_seeds() -> None:
    for decode in DECODERS:
        for seed in SEEDS:
            decode(seed[1:])


@FUZZ
@given(st.sampled_from(DECODERS), st.sampled_from(SEEDS) | st.binary(max_size=200), st.lists(DAMAGES, max_size=3))
def test_damaged_seeds(decode: Callable[[bytes], None], data: bytes, damages: list[Callable[[bytes], bytes]]) -> None:
    for damage in damages:
        data = damage(data)
    decode(data)

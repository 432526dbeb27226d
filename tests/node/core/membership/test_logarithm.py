from __future__ import annotations

import math

import pytest

from tribulation.node.core.detector.logarithm import log10_ceiling, log10_thousandths


@pytest.mark.parametrize("number", [*range(1, 140), 999, 1000, 1001])
def test_it_is_the_logarithm(number: int) -> None:
    assert log10_thousandths(number) == math.floor(1000 * math.log10(number) + 1e-9)
    assert log10_ceiling(number) == math.ceil(math.log10(number) - 1e-12)

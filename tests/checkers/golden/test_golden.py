"""The answers of today are those that are stored. A change of answers that is meant is stored again, and reviewed as a difference of these files."""

from __future__ import annotations

from functools import cache

import pytest

from .cases import CASES
from .store import FOLDER, answers, differences, stored

_stored = cache(stored)


@pytest.mark.parametrize("case", CASES)
def test_answers_are_the_stored_ones(case: str) -> None:
    found = differences(case, _stored(CASES[case].file).get(case, []), answers(case))
    assert found is None, found


def test_the_files_are_small_and_hold_nothing_else() -> None:
    files = sorted({case.file for case in CASES.values()})
    assert sorted(path.stem for path in FOLDER.iterdir()) == files
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 300_000
    assert {name for file in files for name in stored(file)} == set(CASES)

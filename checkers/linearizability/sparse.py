"""scipy's sparse matrices, imported when needed: loading scipy takes longer than most checks.

Importing scipy imports `numpy.f2py`, which reads SOURCE_DATE_EPOCH and fails where it is not a number of seconds. The variable is meant for
other programs, so it is removed during the import.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

_DATE = "SOURCE_DATE_EPOCH"


def csr_matrix(*arguments: Any, **options: Any) -> Any:
    return _scipy().csr_matrix(*arguments, **options)


def connected_components(matrix: Any, **options: Any) -> Any:
    return _scipy().csgraph.connected_components(matrix, **options)


@cache
def _scipy() -> Any:
    date = os.environ.pop(_DATE, None)
    try:
        import scipy.sparse
        import scipy.sparse.csgraph
    finally:
        if date is not None:
            os.environ[_DATE] = date
    return scipy.sparse

"""Stores the answers of today.

python -m tests.checkers.golden                  of all cases
python -m tests.checkers.golden 'queue, few'     of these
"""

from __future__ import annotations

import sys

from .cases import CASES
from .store import answers, store, stored


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in CASES]
    if unknown:
        print(f"no case {unknown[0]!r}\n\nhint: there are {', '.join(CASES)}", file=sys.stderr)
        return 2
    for file in sorted({case.file for case in CASES.values()}):
        known = stored(file)
        mine = [name for name, case in CASES.items() if case.file == file and name in (names or CASES)]
        now = {name: answers(name) for name in mine}
        for name in mine:
            changed = sum(a != b for a, b in zip(known.get(name, []), now[name], strict=False))
            if changed or name not in known:
                print(f"{name}: {changed if name in known else 'all'} of {len(now[name])} answers changed")
        if mine:
            store(file, {**known, **now})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

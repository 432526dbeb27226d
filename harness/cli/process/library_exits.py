"""No compiled library determines the exit code of `tri`: some end the process by C's `exit(1)`, and 1 means an anomaly (OpenBLAS without memory, while numpy is imported).

    refuse_exits()     # from now on, `exit` of a library ends the process by 4
    allow_exit(code)   # the interpreter's own end, with the code of the command

Both have C's `exit` call `_exit`: the last registered call is the first and only one. The interpreter's own end has written what libraries printed. No further
file is flushed, because a thread of a library may hold its lock without end.
"""

from __future__ import annotations

import ctypes

ENVIRONMENT = 4


def refuse_exits() -> None:
    allow_exit(ENVIRONMENT)


def allow_exit(code: int) -> None:
    """The C library of every system that runs `tri` has `__cxa_atexit`, which C++ needs; `atexit` is not exported."""
    library = ctypes.CDLL(None)
    library.__cxa_atexit(library._exit, ctypes.c_void_p(code), None)

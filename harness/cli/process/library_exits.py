"""No compiled library determines the exit code of `tri`: some end the process by C's `exit(1)`, and 1 means an anomaly (OpenBLAS without memory, while numpy is imported).

    refuse_exits()     # from now on, `exit` of a library ends the process by 4
    allow_exit(code)   # the interpreter's own end, with the code of the command

Callbacks of C's `exit`, and themselves functions of C: the last registered one is called first, and no Python runs any more.
"""

from __future__ import annotations

import ctypes

ENVIRONMENT = 4


def refuse_exits() -> None:
    _leave_by(ENVIRONMENT)


def allow_exit(code: int) -> None:
    _leave_by(code)
    _at_exit("fflush", 0)


def _leave_by(code: int) -> None:
    _at_exit("_exit", code)


def _at_exit(name: str, argument: int) -> None:
    """Have C's `exit` call the function of this name. The C library of every system that runs `tri` has `__cxa_atexit`, which C++ needs; `atexit` is not exported."""
    library = ctypes.CDLL(None)
    library.__cxa_atexit(getattr(library, name), ctypes.c_void_p(argument), None)

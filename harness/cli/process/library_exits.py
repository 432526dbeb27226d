"""No compiled library determines the exit code of `tri`. Some call C's `exit(1)`, as OpenBLAS does without memory, but 1 means an anomaly.

    refuse_exits()     # from now on, `exit` of a library ends the process with exit code 4
    allow_exit(code)   # the interpreter's own end, with the code of the command

Both register `_exit` to be called by C's `exit`. The function registered last is called first, and `_exit` ends the process, so no other is called.
The interpreter has flushed its own streams before. Files of C are not flushed, because a thread of a library may hold the lock of one without end.
"""

from __future__ import annotations

import ctypes

ENVIRONMENT = 4


def refuse_exits() -> None:
    allow_exit(ENVIRONMENT)


def allow_exit(code: int) -> None:
    """Let C's `exit` end the process with this code. `__cxa_atexit` is used because C libraries export it for C++; they do not export `atexit`."""
    library = ctypes.CDLL(None)
    library.__cxa_atexit(library._exit, ctypes.c_void_p(code), None)

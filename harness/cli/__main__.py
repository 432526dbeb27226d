"""`tri`, and `python -m tribulation.harness.cli` where it is not on the path. Handlers of signals are set before anything large is imported."""

from __future__ import annotations

from .process.signals import answer_with, leave_threads, leave_when_signalled


def main() -> None:
    leave_when_signalled()
    from .process.library_exits import allow_exit, refuse_exits

    refuse_exits()
    from .main import main

    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
        answer_with(code)
        leave_threads(code)
        allow_exit(code)
        raise


if __name__ == "__main__":
    main()

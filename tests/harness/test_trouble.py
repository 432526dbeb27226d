"""What threads of a run raise is kept: bugs of ours with their tracebacks, errors of the machine and of users' files as what they are."""

from __future__ import annotations

import errno
import threading

import pytest

from tribulation.harness.errors import FaultError, TribulationError
from tribulation.harness.trouble import MOST_BUGS, MOST_ERRORS, Trouble
from tribulation.harness.user_files import quantities

OURS = quantities.__file__


def ours(source: str, **names) -> threading.Thread:
    """A thread that runs this source as if it stood in a file of ours; ended."""
    code = compile(source, OURS, "exec")
    thread = threading.Thread(
        target=exec, args=(code, {"__name__": "tribulation.harness.user_files.durations", **names}), name="some-thread"
    )
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    return thread


CAUGHT = "with trouble.caught('sampling'):\n    work()"


def test_what_our_code_raises_is_a_bug_with_its_traceback_and_the_same_again_is_counted():
    trouble = Trouble()
    for _ in range(3):
        ours("with trouble.caught('sampling'):\n    {}['gone']", trouble=trouble)
    ours("with trouble.caught('renewing'):\n    {}['gone']", trouble=trouble)
    first, second = trouble.bugs
    assert first.startswith("sampling: Traceback") and "KeyError: 'gone'" in first and first.endswith("(3 times)")
    assert second.startswith("renewing: ") and trouble.errors == []


@pytest.mark.parametrize(
    "error", [FaultError("n1 is away", "look"), OSError(errno.ENOSPC, "No space left on device"), MemoryError()]
)
def test_errors_of_the_environment_are_no_bugs(error):
    trouble = Trouble()

    def work():
        raise error

    ours(CAUGHT, trouble=trouble, work=work)
    ours(CAUGHT, trouble=trouble, work=work)
    assert trouble.bugs == [] and len(trouble.errors) == 1
    assert trouble.errors[0].startswith("sampling: ") and "hint:" in trouble.errors[0]


def test_an_error_of_ours_without_a_place_in_the_environment_is_a_bug():
    trouble = Trouble()
    ours("with trouble.caught('x'):\n    raise error", trouble=trouble, error=TribulationError("internal"))
    assert len(trouble.bugs) == 1


def test_what_a_users_file_raises_is_reported_with_file_and_line_and_is_no_bug_of_ours():
    trouble = Trouble()

    def leader():
        return {}["leader"]

    ours(CAUGHT, trouble=trouble, work=leader)
    (error,) = trouble.errors
    assert f"{__file__}:" in error and "(leader)" in error and "KeyError" in error and trouble.bugs == []


def test_a_thread_of_ours_that_ends_by_an_exception_leaves_it_and_others_are_reported_as_before(monkeypatch):
    others: list = []
    monkeypatch.setattr(threading, "excepthook", others.append)
    trouble = Trouble()
    with trouble.watching():
        ours("raise RuntimeError('lost')")
        stranger = threading.Thread(target=lambda: 1 / 0)
        stranger.start()
        stranger.join(10)
    assert len(trouble.bugs) == 1 and "thread some-thread" in trouble.bugs[0] and "lost" in trouble.bugs[0]
    assert [args.exc_type for args in others] == [ZeroDivisionError]
    assert threading.excepthook == others.append


def test_no_flood_of_errors_fills_the_memory():
    trouble = Trouble()
    for number in range(1000):
        trouble.error(f"error {number}")
        trouble.add(f"place {number}", ValueError("x"))
    assert len(trouble.errors) == MOST_ERRORS and len(trouble.bugs) == MOST_BUGS

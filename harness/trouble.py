"""Errors of a run other than those of operations, collected from all of its threads.

`errors` are those of the environment: a host that is away, a fault that could not be injected. `bugs` are the harness's own, each with its traceback.
A thread that must go on whatever happens does it so:

    with trouble.caught("sampler"):
        sample()
"""

from __future__ import annotations

import errno
import os
import sysconfig
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import tribulation

from .errors import DeployError, TribulationError

MOST_ERRORS = 200
MOST_BUGS = 50
"""Different ones that are kept. The same one again is counted."""
BUG_EXIT = TribulationError.exit_code
MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
"""What an `OSError` says when the harness's own machine lacks something."""
OURS = str(Path(tribulation.__file__).parent) + os.sep
PYTHON = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})


def is_of_the_machine(error: BaseException) -> bool:
    """Return whether the harness's own machine lacks something."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in MACHINE)


def is_of_a_package(error: BaseException) -> bool:
    """Return whether an installed package could not be loaded, as compiled ones without memory."""
    return isinstance(error, ImportError) and not (error.name or "").startswith("tribulation")


def place_of_users(error: BaseException) -> str | None:
    """The last place in the traceback outside Tribulation and Python: a user's file, such as an adapter."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((OURS, *PYTHON, "<")):
            return f"{frame.filename}:{frame.lineno} ({frame.name})"
    return None


def described(error: BaseException | None) -> str:
    """Describe an error in one line; one raised in a user's file with the place in it."""
    if isinstance(error, TribulationError):
        return error.message
    place = place_of_users(error) if error is not None else None
    return f"{type(error).__name__}: {error}" + (f" ({place})" if place else "")


def undo_all(place: str, *steps: Callable[[], object]) -> None:
    """Take each step, whichever of the earlier ones fail. Raises `DeployError` with every failure."""
    failures: list[Exception] = []
    for step in steps:
        try:
            step()
        except Exception as error:
            failures.append(error)
    if failures:
        hints = [error.hint for error in failures if isinstance(error, TribulationError) and error.hint]
        texts = [described(error).removeprefix(f"{place}: ").removeprefix("not undone: ") for error in failures]
        raise DeployError(
            f"{place}: not undone: {'; '.join(texts)}", hint="; ".join(dict.fromkeys(hints)) or None
        ) from failures[0]


class Trouble:
    """Thread-safe. `errors` may be appended to directly."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self._bugs: dict[tuple[str, str, str], tuple[str, int]] = {}
        self._lock = threading.Lock()

    @property
    def bugs(self) -> list[str]:
        """Each different one once, in the order in which they came: where, how often, and the traceback of the first time."""
        with self._lock:
            return [text if count == 1 else f"{text}\n({count} times)" for text, count in self._bugs.values()]

    def error(self, text: str) -> None:
        """An error of the environment; the same one again is left out."""
        if text not in self.errors and len(self.errors) < MOST_ERRORS:
            self.errors.append(text)

    def add(self, where: str, error: BaseException) -> None:
        """Record an exception raised at `where`: as an error if its type or traceback blames the environment, else as a bug."""
        if isinstance(error, TribulationError) and error.exit_code != BUG_EXIT:
            self.error(f"{where}: {error}")
            return
        if is_of_the_machine(error):
            self.error(
                f"{where}: {error or 'out of memory'}\n\nhint: does the machine that runs tri have disk, files and memory left?"
            )
            return
        if place := place_of_users(error):
            trace = "".join(traceback.format_exception(error)).rstrip()
            self.error(
                f"{where}: {type(error).__name__} in {place}\n{trace}\nhint: that file is not Tribulation's; it is the system's own"
            )
            return
        last = traceback.extract_tb(error.__traceback__)[-1:]
        key = (where, type(error).__name__, f"{last[0].filename}:{last[0].lineno}" if last else "")
        text = f"{where}: " + "".join(traceback.format_exception(error)).rstrip()
        with self._lock:
            first, count = self._bugs.get(key, (text, 0))
            if count or len(self._bugs) < MOST_BUGS:
                self._bugs[key] = (first, count + 1)

    @contextmanager
    def caught(self, where: str) -> Iterator[None]:
        """Keep whatever is raised inside and go on."""
        try:
            yield
        except BaseException as error:
            self.add(where, error)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While it is entered, a thread that ends by an exception from our code leaves it here; others, as of a client's library, are reported as before."""
        before = threading.excepthook

        def ended(args: threading.ExceptHookArgs) -> None:
            frames = traceback.extract_tb(args.exc_traceback)
            if args.exc_value is not None and any(frame.filename.startswith(OURS) for frame in frames):
                self.add(f"thread {args.thread.name if args.thread else '?'}", args.exc_value)
            else:
                before(args)

        threading.excepthook = ended
        try:
            yield
        finally:
            threading.excepthook = before

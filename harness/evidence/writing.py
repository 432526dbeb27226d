"""Writing into a run's folder: an error of the disk or of permissions becomes an error of the environment, with the place and a hint."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tribulation.histories.files.store import RunStore

from ..errors import TribulationError
from ..user_files.renamed import written

_HINTS = {
    errno.ENOSPC: "free some space there, or {elsewhere}",
    errno.EDQUOT: "free some space there, or {elsewhere}",
    errno.EFBIG: "raise the limit of the size of files (ulimit -f), or {elsewhere}",
}
RUNS = "give a folder that can be written with --runs"


class RunFolderError(TribulationError):
    """The folder of the run could not be written."""

    exit_code = 4


@contextmanager
def writing(path: Path, elsewhere: str = RUNS) -> Iterator[None]:
    """Guards code that writes `path`, or below it. `elsewhere`: how a user can choose another place. Raises `RunFolderError`."""
    try:
        yield
    except OSError as error:
        raise unwritable(path, error, elsewhere) from error


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write atomically, with the document's version. Raises `RunFolderError`."""
    with writing(path):
        RunStore.write_json(path, written(document))


def as_text(name: object) -> str:
    """A name as valid text. Names that are not valid in the locale's encoding contain surrogates, which JSON cannot hold."""
    return str(name).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def unwritable(path: Path, error: OSError, elsewhere: str = RUNS) -> RunFolderError:
    reason = error.strerror or str(error) or type(error).__name__
    hint = _HINTS.get(error.errno or 0, "{elsewhere}").format(elsewhere=elsewhere)
    return RunFolderError(f"cannot write {error.filename or path}: {reason}", hint=hint)

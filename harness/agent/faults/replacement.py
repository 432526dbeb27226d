"""Restart of the process on another disk, once: `{"ident": "membership.1", "directory": "…/data", "files": {"name": "base64"}}`.

The former content of the directory is lost, so it cannot be restored; an undo only ensures that the process runs again.
"""

from __future__ import annotations

import base64
import os
import shutil
from typing import Any

from ..processes import processes
from . import process

Json = dict[str, Any]
NAME = "replacement"
OUTLIVES_POWER = True


def claim(before: Json, wanted: Json, config: Json) -> Json:
    """`process` is how to restart it, until the replacement is `done`; a replacement is not done twice."""
    if not wanted or before.get("ident") == wanted["ident"]:
        return before
    how = config.get("process") or {}
    if not how:
        raise RuntimeError("there is no process to replace: the service was not running when the agent was configured")
    return {"ident": wanted["ident"], "process": process.killable(how), "done": False}


def change(claimed: Json, wanted: Json, config: Json) -> Json:
    if claimed["done"]:
        return claimed if wanted else {}
    how = claimed["process"]
    if not wanted:
        processes.start(how)
        return {}
    directory, files = wanted["directory"], wanted["files"]
    processes.kill(how)
    empty(directory)
    for name, content in files.items():
        write(os.path.join(directory, name), base64.b64decode(content))
    # The names too: a power loss would bring back what was removed.
    settle(directory)
    # Now or never: as soon as the process runs, what it writes hides what it found.
    if sorted(os.listdir(directory)) != sorted(files):
        raise RuntimeError(
            f"{directory} contains unexpected files, although it was emptied: {sorted(os.listdir(directory))}"
        )
    processes.start(how)
    return {**claimed, "done": True}


def undo(force: Json) -> list[str]:
    if force and not force["done"] and processes.start(force["process"]):
        return ["replacement: the process is started again"]
    return []


def empty(directory: str) -> None:
    """Remove the content, and keep the directory itself: a file system may be mounted there."""
    with os.scandir(directory) as entries:
        found = list(entries)
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)


def settle(directory: str) -> None:
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write(path: str, content: bytes) -> None:
    """Write the file to disk before the process can see it."""
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())

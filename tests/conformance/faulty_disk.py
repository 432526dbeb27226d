"""A real directory whose operations can be held back or made to fail, as a slow or broken disk would."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

from tribulation.node.runtime.disk.disk import DirectoryDisk


@dataclass
class Faults:
    """Shared by the disks of a node's incarnations. `failing` holds (kind, file or None), each used once."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    held: bool = False
    failing: list[tuple[str, str | None]] = field(default_factory=list)
    log: list[tuple[str, str]] = field(default_factory=list)

    def hold(self, held: bool) -> None:
        with self.changed:
            self.held = held
            self.changed.notify_all()


class FaultyDisk:
    def __init__(self, directory: Path, faults: Faults) -> None:
        self._disk = DirectoryDisk(directory)
        self._faults = faults
        self._dead = False

    def die(self) -> None:
        """The process was killed: nothing held is carried out any more."""
        with self._faults.changed:
            self._dead = True
            self._faults.changed.notify_all()

    def append(self, file: str, data: bytes) -> None:
        self._pass("append", file)
        self._disk.append(file, data)

    def write(self, file: str, data: bytes) -> None:
        self._pass("write", file)
        self._disk.write(file, data)

    def truncate(self, file: str, size: int) -> None:
        self._pass("truncate", file)
        self._disk.truncate(file, size)

    def fsync(self, file: str) -> None:
        self._pass("fsync", file)
        self._disk.fsync(file)

    def rename(self, file: str, to: str) -> None:
        self._pass("rename", file)
        self._disk.rename(file, to)

    def remove(self, file: str) -> None:
        self._pass("remove", file)
        self._disk.remove(file)

    def fsync_dir(self) -> None:
        self._pass("fsync_dir", "")
        self._disk.fsync_dir()

    def close(self) -> None:
        self._disk.close()

    def _pass(self, kind: str, file: str) -> None:
        faults = self._faults
        with faults.changed:
            faults.changed.wait_for(lambda: self._dead or not faults.held)
            if self._dead:
                raise OSError(5, "the process is dead")
            faults.log.append((kind, file))
            for wanted in faults.failing:
                if wanted in ((kind, file), (kind, None)):
                    faults.failing.remove(wanted)
                    raise OSError(5, "Input/output error (injected)")

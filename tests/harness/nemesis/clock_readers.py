"""Programs that ask for the time in ways of their own: of the vDSO, of a preloaded library, or of nothing."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).with_name("clock_programs")


def compiled(folder: Path, *options: str, name: str = "reader") -> str:
    """One of these programs, built with these options."""
    program = folder / "-".join([name, *(option.strip("-") for option in options)])
    command = ["gcc", "-O2", "-Wall", "-Werror", "-o", program, *options, SOURCES / f"{name}.c"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return str(program)


@dataclass(frozen=True)
class Times:
    """As one reader sees them, in ns: by the vDSO's three ways, and by the C library."""

    mono: int
    wall: int
    timeofday: int
    seconds: int
    library: int


class Reader:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process, self.pid = process, process.pid

    def ask(self) -> Times:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return Times(*map(int, self.process.stdout.readline().split()))


@contextlib.contextmanager
def reading(*command: str, environment: Mapping[str, str] | None = None) -> Iterator[Reader]:
    variables = {**os.environ, **(environment or {})}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=variables) as process:
        try:
            yield Reader(process)
        finally:
            process.kill()

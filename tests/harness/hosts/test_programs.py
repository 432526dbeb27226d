"""Programs of this machine: bounded in time and output, and ended with all that they started."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tribulation.harness.errors import HostError
from tribulation.harness.hosts.programs import MOST_BYTES, end_of, run_program


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_what_a_program_prints_is_returned() -> None:
    done = run_program(["sh", "-c", "cat; echo wrong >&2; exit 3"], stdin="right\n", timeout_s=20)
    assert (done.exit_code, done.stdout, done.stderr) == (3, "right\n", "wrong\n")


def test_as_much_as_is_allowed_is_read() -> None:
    assert len(run_program(["head", "-c", str(MOST_BYTES), "/dev/zero"], timeout_s=20).stdout) == MOST_BYTES


@pytest.mark.parametrize("to", ["1", "2"])
def test_a_program_that_prints_without_end_is_ended_with_its_children(to: str, tmp_path: Path) -> None:
    script = f"sleep 1000 & echo $! > {tmp_path}/pid; exec yes >&{to}"
    with pytest.raises(HostError, match="did not end after 1 MiB of output") as caught:
        run_program(["sh", "-c", script], timeout_s=60, hint="by hand")
    assert caught.value.hint == "by hand"
    pid = int((tmp_path / "pid").read_text(encoding="utf-8"))
    until_s = time.monotonic() + 10
    while not ended(pid) and time.monotonic() < until_s:
        time.sleep(0.01)
    assert ended(pid)


@pytest.mark.parametrize(
    "script",
    ["sleep 1000", "sleep 1000 & echo done", "exec >&- 2>&-; sleep 1000", "while :; do echo x; sleep 0.1; done"],
)
def test_a_program_or_its_child_that_does_not_end_is_ended(script: str) -> None:
    with pytest.raises(HostError, match=r"did not end within 0.5 s"):
        run_program(["sh", "-c", script], timeout_s=0.5)


def test_a_program_that_is_missing_is_an_error_of_the_system() -> None:
    with pytest.raises(FileNotFoundError):
        run_program(["no-such-program"], timeout_s=1, env={"PATH": os.defpath})


def test_of_a_console_only_the_end_is_read(tmp_path: Path) -> None:
    """A machine prints for weeks; the whole file was read for its last 300 characters."""
    path = tmp_path / "console.log"
    with path.open("wb") as file:
        file.truncate(1 << 40)
        file.seek(0, os.SEEK_END)
        file.write(f"{'x' * 100}{'ä' * 299}!\n".encode())
    assert end_of(path, 300) == "ä" * 299 + "!"
    path.write_bytes(b"short\n")
    assert end_of(path, 300) == "short"

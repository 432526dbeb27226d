"""Names that other users of a host choose, of processes, files and mounts, are any bytes: none of them ends an agent or keeps a fault from being undone."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tribulation.harness.agent.clocks import reach, system_clock, vdso
from tribulation.harness.agent.fault_disk.mount import mounted, unescaped
from tribulation.harness.agent.processes import proc

AGENT = Path(__file__).parents[3] / "harness/agent"
PROGRAM = """
import ctypes, mmap, sys
ctypes.CDLL(None).prctl(15, b"\\xff\\xfe")
with open(sys.argv[1].encode() + b"/\\xff", "w+b") as file:
    file.truncate(4096)
    kept = mmap.mmap(file.fileno(), 4096)
print("there", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def pid(tmp_path: Path) -> Iterator[int]:
    """A process whose name and whose mapped file are not UTF-8."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"there\n"
        yield process.pid


def test_a_process_whose_names_are_no_text_is_seen_as_any_other(pid: int) -> None:
    assert proc.read(pid) is not None and proc.identity(pid) is not None
    assert proc.resident_bytes(pid) > 0 and proc.control_groups(pid) is not None
    assert vdso.image_of(pid) is not None and reach._address(pid, "/no/library", "flag") is None
    assert isinstance(vdso.moved(1), list)
    assert isinstance(system_clock.Here().synchronisers(), list)


@pytest.mark.parametrize(
    ("written", "point"),
    [("/srv/caf\u00e9", "/srv/caf\u00e9"), ("/a\\040b\\134c", "/a b\\c"), ("/\udcff", "/\udcff"), ("/x\\011", "/x\t")],
)
def test_a_mount_point_is_the_path_that_was_mounted(written: str, point: str) -> None:
    assert unescaped(written) == point
    assert not mounted(point)


def test_every_text_of_proc_is_read_whatever_its_bytes() -> None:
    wrong = []
    for path in sorted(AGENT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open"):
                continue
            is_binary = len(node.args) > 1 and "b" in ast.unparse(node.args[1])
            if "/proc/" in ast.unparse(node.args[0]) and not is_binary:
                wrong += [f"{path.name}:{node.lineno}"] * ("errors" not in {word.arg for word in node.keywords})
    assert wrong == []

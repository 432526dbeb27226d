"""The fingerprint of the core: equal wherever equal sources lie, changed by any change of the core, blind to the runtime around it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tribulation import node
from tribulation.harness.systems.reference.package import build_node_archive
from tribulation.node.core_source import fingerprint
from tribulation.node.runtime.telemetry.recording import encode_header, read_recording

PACKAGE = Path(node.__file__).parent


def fingerprint_of(place: Path) -> str:
    """What another process says that finds the package at `place`, a folder or an archive."""
    program = f"import sys; sys.path.insert(0, {str(place)!r}); from tribulation.node.core_source import fingerprint; print(fingerprint())"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True, timeout=60, cwd=place.parent
    )
    return done.stdout.strip()


def copied(folder: Path) -> Path:
    shutil.copytree(PACKAGE, folder / "tribulation/node", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "tribulation/__init__.py").touch()
    return folder


def test_a_checkout_and_the_archive_on_a_host_have_the_same(tmp_path: Path) -> None:
    (tmp_path / "node.pyz").write_bytes(build_node_archive())
    assert re.fullmatch("[0-9a-f]{16}", fingerprint())
    assert fingerprint_of(tmp_path / "node.pyz") == fingerprint()


def test_the_core_changes_it_and_the_runtime_does_not(tmp_path: Path) -> None:
    place = copied(tmp_path / "changed")
    assert fingerprint_of(place) == fingerprint()
    with (place / "tribulation/node/runtime/loop/loop.py").open("a", encoding="utf-8") as file:
        file.write("\n# another comment\n")
    assert fingerprint_of(place) == fingerprint()
    with (place / "tribulation/node/core/raft/replication.py").open("a", encoding="utf-8") as file:
        file.write("\n# another comment\n")
    assert fingerprint_of(place) not in ("", fingerprint())


def test_a_recording_says_which_core_ran(tmp_path: Path) -> None:
    (tmp_path / "events.log").write_bytes(encode_header("n1", {}))
    assert read_recording(tmp_path / "events.log").header["core"] == fingerprint()

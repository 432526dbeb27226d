"""A lab whose files were damaged is listed, and can be removed: no command hangs at it or ends in an internal error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tribulation.harness.errors import HostError
from tribulation.harness.hosts.local.layout import state

ROOT = Path(__file__).resolve().parents[3]
DAMAGED = {
    "a list": "[]",
    "a number": "5",
    "deep": "[" * 100_000,
    "not text": "\udcff\udcfe",
    "a list of nodes": '{"nodes": [1]}',
    "endless nodes": '{"nodes": Infinity}',
    "many nodes": '{"nodes": 1000000000}',
    "odd regions": '{"nodes": 3, "regions": 5}',
    "odd ways": '{"nodes": 3, "regions": {"sizes": {"eu": 1}, "ways": {"a-b": [1, 2, 3, 4]}}}',
}


@pytest.mark.parametrize("how", DAMAGED)
def test_a_damaged_description_is_a_lab_without_nodes(how: str, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/lab.json").write_bytes(DAMAGED[how].encode(errors="surrogateescape"))
    assert [(lab.name, lab.nodes) for lab in state.list_labs(tmp_path)] == [("bad", 0)]
    with pytest.raises(HostError, match="not what a lab writes"):
        state.read_settings(tmp_path / "bad")


@pytest.mark.parametrize("name", ["lab.json", "users", "alive", "groups"])
def test_a_pipe_in_the_place_of_a_file_holds_no_command(name: str, tmp_path: Path) -> None:
    lab = tmp_path / "labs/bad"
    lab.mkdir(mode=0o700, parents=True)
    lab.parent.chmod(0o700)
    (lab / "lab.json").write_text('{"nodes": 3}')
    (lab / name).unlink(missing_ok=True)
    os.mkfifo(lab / name)
    for words in (["hosts", "list"], ["hosts", "down", "--name", "bad"]):
        ended = subprocess.run(
            [sys.executable, "-m", "tribulation.harness.cli", *words],
            cwd=ROOT,
            env={**os.environ, "TRI_LABS": str(lab.parent)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ended.returncode == 0, ended.stderr
    assert not lab.exists()


def test_groups_that_are_no_text_keep_no_lab_from_its_removal(tmp_path: Path) -> None:
    from tribulation.harness.hosts.local.leftovers import sweep

    lab = tmp_path / "bad"
    lab.mkdir()
    (lab / "lab.json").write_text('{"nodes": 3}')
    (lab / "groups").write_bytes(b"\xff\xfe 1\n")
    assert sweep(tmp_path, but="mine") == ["bad"] and not lab.exists()

"""The file of `--config` is a regular one of a bounded size: anything else ends with the exit code of a wrong configuration, at once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tribulation.node.runtime.disk.home import Home, HomeError
from tribulation.node.runtime.options import EXIT_CONFIG
from tribulation.node.runtime.process.boot import MOST_CONFIG_BYTES, main
from tribulation.node.runtime.telemetry.logs import NodeLog


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (os.mkfifo, "not a regular file"),
        (Path.mkdir, "directory"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
        (lambda path: path.write_bytes(b" " * MOST_CONFIG_BYTES + b"{}"), "more than"),
        (lambda path: path.write_bytes(b"\xff"), "utf-8"),
    ],
)
def test_what_is_no_file_of_a_configuration(
    tmp_path: Path, made: Callable[[Path], object], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.json"
    made(path)
    assert main(["--config", str(path)]) == EXIT_CONFIG
    assert why in capsys.readouterr().err


@pytest.mark.parametrize("field", ["handlers", "datagram_key"])
def test_a_name_that_no_file_can_have_is_no_file(
    tmp_path: Path, field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.json"
    whole = {"node": "n1", "cluster": "c", "peers": {"n1": ["127.0.0.1", 1]}, "voters": {"n1": 1}}
    path.write_text(json.dumps({**whole, field: "x" * 5000}))
    assert main(["--config", str(path)]) == EXIT_CONFIG
    assert "is not a file" in capsys.readouterr().err


@pytest.mark.parametrize("made", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir])
@pytest.mark.parametrize("name", ["incarnation", "node.log"])
def test_what_is_no_file_in_a_node_s_folder_holds_no_start(
    tmp_path: Path, name: str, made: Callable[[Path], object]
) -> None:
    """`incarnation` counts starts, so without it there is none; a device takes a log."""
    made(tmp_path / name)
    home = Home(tmp_path)
    if name == "incarnation":
        with pytest.raises((HomeError, OSError)):
            home.next_incarnation()
    elif not (tmp_path / name).is_char_device():
        with pytest.raises(OSError):
            NodeLog(home.log)

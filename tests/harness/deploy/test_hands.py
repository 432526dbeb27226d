"""What is done as root on a host goes through sudo as a whole: commands, pipelines, files and their modes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.systems.loopback import LoopbackHost
from tribulation.harness.deploy.as_root import AsRoot, as_root


@pytest.fixture
def host(tmp_path: Path) -> LoopbackHost:
    """Where `sudo` sets a variable, by which what ran through it can be recognised."""
    host = LoopbackHost("n1", "127.0.0.1", tmp_path / "n1")
    host.sudo = ("env", "THROUGH=sudo")
    return host


def test_every_part_of_a_command_is_roots(host: LoopbackHost) -> None:
    hands = AsRoot(host)
    assert hands.run("true && echo $THROUGH | cat").stdout == "sudo\n"
    assert hands.run(["sh", "-c", "echo $THROUGH; cat"], stdin=b"fed").stdout == "sudo\nfed"
    assert hands.sudo == (), "nothing is put before its commands once more"
    assert hands.run("exit 3", check=False).exit_code == 3


def test_files_arrive_whole_with_their_mode_and_come_back(host: LoopbackHost) -> None:
    hands, content = AsRoot(host), bytes(range(256)) * 5
    path = f"{host.directory}/folder/a file"
    hands.put(content, path, mode=0o600)
    assert Path(path).read_bytes() == content and Path(path).stat().st_mode & 0o777 == 0o600
    assert hands.get(path) == content
    assert [found.name for found in Path(path).parent.iterdir()] == ["a file"]


def test_who_is_root_already_needs_no_hands(tmp_path: Path) -> None:
    host = LoopbackHost("n1", "127.0.0.1", tmp_path)
    assert as_root(host) is host

"""`tri cluster-bench`, `tri cluster`, `tri nodes`: their manners, and one acceptance run of three nodes for real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tribulation.harness.cli.machines.nodes import split_address
from tribulation.harness.cli.main import ALIASES, COMMANDS, cli, main
from tribulation.harness.hosts.local import list_labs

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(("alias", "command"), ALIASES.items())
def test_an_alias_is_the_command(alias: str, command: tuple[str, ...]) -> None:
    assert command[0] in COMMANDS and alias not in COMMANDS
    assert CliRunner().invoke(cli, [alias, "--help"]).output.count("Usage") == 1


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.1", ("10.0.0.1", 10000)),
        ("10.0.0.1:10001", ("10.0.0.1", 10001)),
        ("fd77::1", ("fd77::1", 10000)),
        ("[fd77::1]:10001", ("fd77::1", 10001)),
        ("[fd77::1]", ("fd77::1", 10000)),
        ("node.example:7", ("node.example", 7)),
    ],
)
def test_a_node_is_named_by_its_address(text: str, address: tuple[str, int]) -> None:
    assert split_address(text) == address


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["cluster-bench", "--only", "99"], 2, "99"),
        (["cluster-bench", "--hosts", "nowhere.yaml"], 2, "nowhere.yaml"),
        (["nodes", "--once"], 2, "--host"),
        (["nodes"], 2, "missing --host"),
        (["nodes", "--hosts", "no-such-lab"], 2, "tri demo cluster"),
        (["nodes", "--host", "n1", "--hosts", "no-such-lab"], 2, "no-such-lab"),
        (["nodes", "--host", "n1", "--hosts", "local", "--name", "no-such-lab"], 4, "no-such-lab"),
    ],
)
def test_wrong_words_are_reported_with_their_value(
    words: list[str], code: int, said: str, capsys, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("TRI_LABS", str(tmp_path / "labs"))
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == code
    assert said in capsys.readouterr().err


def test_scenarios_on_three_real_nodes(namespaces: None, tmp_path: Path) -> None:
    """Discovery, a remote spawn, a local task and an episode; nothing is left afterwards."""
    labs = tmp_path / "labs"
    words = [sys.executable, "-m", "tribulation.harness.cli", "nodes-bench", "--only", "1,4,5,24", "--json"]
    environment = {**os.environ, "TRI_LABS": str(labs)}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=180)
    assert list_labs(labs) == []
    rows = {row["number"]: row for row in json.loads(done.stdout)["scenarios"]}
    assert {number: row["passed"] for number, row in rows.items()} == {1: True, 4: True, 5: True, 24: True}, rows
    assert done.returncode == 0
    assert "10" in rows[1]["measured"] or "9999" in rows[1]["measured"]

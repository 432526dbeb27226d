"""Command lines that a clumsy or hostile user writes: they end soon, with exit code 2, the place and a hint."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tribulation.harness.cli.main import _exit_code
from tribulation.harness.cli.runs.run import repeat_command
from tribulation.harness.cluster.bench import chosen
from tribulation.harness.cluster.scenarios import SCENARIOS
from tribulation.harness.errors import CampaignError
from tribulation.harness.plugins.trust import repeat_by

CAMPAIGN = """name: odd
hosts: {provider: sim, nodes: 3}
duration: 1s
settle: 1s
workloads:
  - register: {keys: 1, clients: 2, rate: 20/s}
"""


def _run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str]:
    code = _exit_code([*map(str, words)])
    return code, capsys.readouterr().err


@pytest.fixture
def campaign(tmp_path: Path) -> Path:
    path = tmp_path / "odd.yaml"
    path.write_text(CAMPAIGN)
    return path


@pytest.mark.parametrize(
    "host", ["a" * 300, ".".join("a" * 60 for _ in range(9)), "é" * 40, "", "n1:0", "n1:99999", "[::1]:" + "9" * 5000]
)
def test_a_host_or_port_that_cannot_be_is_refused(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = _run(capsys, "nodes", "--once", "--host", host)
    assert (code, "--host" in said, "hint:" in said) == (2, True, True), said


@pytest.mark.parametrize("only", ["1-99999999999", "9" * 5000, "9-1", "0", "1-999", "1,,2", ""])
def test_numbers_of_scenarios_are_compared_before_a_range_is_made(only: str) -> None:
    with pytest.raises(CampaignError, match="--only"):
        chosen(only, SCENARIOS)


def test_two_seeds_that_differ_are_refused(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = _run(capsys, "run", campaign, "--seed", "1", "--set", "seed=2", "--runs", campaign.parent / "runs")
    assert code == 2 and "two different seeds" in said, said
    assert not (campaign.parent / "runs").exists()


def test_a_run_whose_seed_was_set_repeats_with_one_seed() -> None:
    found = repeat_command(Path("c.yaml"), "sim", 3, ("seed=3", "duration=1s"))
    assert found == "tri run c.yaml --seed 3 --hosts sim --set duration=1s"


@pytest.mark.parametrize(("given", "code"), [("1ns", 2), ("99ms", 2), ("100ms", 0)])
def test_a_deadline_that_a_healthy_system_misses_is_refused(
    given: str, code: int, campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every operation timed out, and `availability` found the cluster at fault."""
    words = ["run", campaign, "--seed", "1", "--set", f"operation_timeout={given}", "--runs", campaign.parent / "runs"]
    found, said = _run(capsys, *words)
    assert found == code, said
    assert code == 0 or "100ms or more" in said, said


def test_a_slower_heartbeat_needs_a_later_deadline(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--set", "system.timing=default", "--set", "operation_timeout=150ms", "--runs", campaign.parent / "runs"]
    code, said = _run(capsys, "run", campaign, *words)
    assert code == 2 and "200ms or more" in said, said


@pytest.mark.parametrize("text", ["", "~\n", "- 1\n", "x\n", "root:x:0:0:root:/root:/bin/bash\n", "a: 1\n"])
def test_upgrade_says_nothing_of_a_file_that_is_no_campaign(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(text)
    code, said = _run(capsys, "upgrade", path)
    assert code == 2 and "is not a campaign" in said, said
    assert path.read_text() == text


@pytest.mark.parametrize("date", ["abc", "", "9" * 30])
def test_the_date_of_a_build_makes_no_checker_unknown(date: str, tmp_path: Path) -> None:
    """scipy imports a module that reads the variable as a number."""
    script = (
        "import os; from tribulation import check\n"
        "ops = [(0, 'invoke', 'add', 1), (0, 'ok', 'add', 1), (0, 'invoke', 'read', None), (0, 'ok', 'read', [1])]\n"
        "print({name: found.verdict.value for name, found in check(ops, model='set').items()}, os.environ['SOURCE_DATE_EPOCH'])"
    )
    environment = {**os.environ, "SOURCE_DATE_EPOCH": date}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{{'linearizable': 'valid'}} {date}".strip()


def test_a_command_that_repeats_is_quoted_and_trusts_what_the_run_trusted() -> None:
    assert repeat_by(["tri", "replay", Path("a b")], {}) == "tri replay 'a b'"
    assert repeat_by(["tri", "replay", Path("r")], {"plugins": ["p.py"]}) == "tri replay r --trust-plugins"


@pytest.mark.parametrize("columns", ["0", "1", "-1", "abc", "10", "99999999999"])
def test_a_result_is_printed_whatever_the_width_of_the_terminal(columns: str) -> None:
    """With COLUMNS=0 the table of checkers was cut to nothing."""
    environment = {**os.environ, "COLUMNS": columns, "LINES": "0"}
    script = "from tribulation.harness.cli.console import out; from rich.table import Table; t = Table.grid(); t.add_row('linearizable', 'valid'); out.print(t); out.print('all is well')"
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert "linearizable" in done.stdout and "valid" in done.stdout and "all is well" in done.stdout, done


@pytest.mark.parametrize("hosts", ["local", "qemu"])
@pytest.mark.parametrize("name", ["../x", "..", "/etc", "", "a/b"])
def test_a_lab_is_not_looked_for_outside_of_the_folder_of_labs(
    hosts: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = _run(capsys, "nodes", "--once", "--host", "n1", "--hosts", hosts, "--name", name)
    assert code == 2 and "not usable" in said, said


HIDING = [
    "json",
    "os",
    "class",
    "import",
    "none",
    "true",
    "null",
    "latest",
    "path",
    "outcome",
    "daemon",
    "driver-client",
    "tribulation",
    "pytest",
    "yaml",
    "http",
]


@pytest.mark.parametrize("name", HIDING)
def test_a_system_is_not_named_like_what_its_adapter_needs(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`json.py` hid the module of that name, `null.yaml` had no name, and the class `Path` hid the one that it uses."""
    code, said = _run(capsys, "new", "system", name, "--folder", tmp_path)
    assert code == 2 and "cannot be the name of a system" in said and "hint:" in said, said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["my-database", "kv", "http-server", "match-case", "etcd-like", "a", "x" * 41])
def test_files_of_other_names_can_be_used(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = _run(capsys, "new", "system", name, "--folder", tmp_path)
    assert code == 0, said
    for file in tmp_path.glob("*.py"):
        compile(file.read_text(), file.name, "exec")
    code, said = _run(capsys, "run", tmp_path / f"{name}.yaml", "--hosts", "sim")
    assert code == 2 and "sim" in said, said

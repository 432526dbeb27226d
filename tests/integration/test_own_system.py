"""Another system under test is one Python file: on real local hosts, over SSH, with faults that its clients feel."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CAMPAIGN = "tests/systems/register-server.yaml"


def test_a_system_from_a_file_is_deployed_cut_off_paused_and_found_linearizable(tri):
    ended = tri("run", CAMPAIGN, "--json", "--set", "checkers=[linearizable, availability]")
    assert ended.exit_code == 0, ended.stderr
    document = ended.document
    assert document["verdict"] == "valid" and document["expected"]
    assert [(fault["kind"], fault["verified"]) for fault in document["faults"]] == [("cut", True), ("pause", True)]
    assert document["ops"]["ok"] > 200
    assert document["ops"]["info"] + document["ops"]["fail"] > 0, "the faults were felt"


@pytest.mark.full
def test_its_planted_bug_is_found(tri):
    ended = tri(
        "run", CAMPAIGN, "--json", "--set", "system.options={stale: true}", "--set", "duration=7s", "--set", "faults=[]"
    )
    assert ended.exit_code == 1, ended.stderr
    anomalies = ended.document["checkers"]["linearizable"]["anomalies"]
    assert anomalies and 2 <= len(anomalies[0]["ops"]) <= 6 and anomalies[0]["explanation"]
    run = ended.document["run"]
    shrunk = tri(
        "shrink", run, "--repeat", "1", "--tries", "1", "--trust-plugins", "--runs", run + "/smaller", timeout_s=200
    )
    assert shrunk.exit_code in (0, 3) and "system file" not in shrunk.stderr, shrunk.stderr


def test_an_adapter_that_lacks_a_method_starts_nothing(tri, tmp_path: Path, labs: Path):
    path = _adapter(tmp_path, "    def collect(", "    def collects(")
    ended = tri("run", str(path))
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert f"{tmp_path}/own.py: RegisterService.collect(host) is missing" in ended.stderr and "hint: " in ended.stderr
    assert not labs.exists() and not (tmp_path / "runs").exists()


def test_an_exception_of_an_adapter_says_where_in_it(tri, tmp_path: Path, labs: Path, namespaces: None):
    path = _adapter(tmp_path, "        self._first = cluster[0].name\n", "        self._first = cluster[9].name\n")
    line = (tmp_path / "own.py").read_text().splitlines().index("        self._first = cluster[9].name") + 1
    ended = tri("run", str(path))
    assert ended.exit_code == 4
    assert f"IndexError: list index out of range ({tmp_path}/own.py:{line} (install))" in ended.stderr
    assert list(labs.iterdir()) == []


def _adapter(folder: Path, before: str, after: str) -> Path:
    """A campaign next to the register server's adapter with this change."""
    text = (ROOT / "tests/systems/register_server.py").read_text()
    assert text.count(before) == 1
    (folder / "own.py").write_text(text.replace(before, after))
    path = folder / "own.yaml"
    path.write_text((ROOT / CAMPAIGN).read_text().replace("register_server.py", "own.py"))
    return path


def test_the_adapter_of_the_guide_is_a_whole_one(tri, tmp_path: Path) -> None:
    """The files as the page has them: over an ordinary driver, paused in the middle, and linearizable."""
    text = (ROOT / "docs/guides/own-system.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```\w+\n(# (\S+)\n.*?)```", text, re.S)
    assert [name for _, name in blocks] == ["kv.py", "kv.yaml", "kv_server.py"]
    for content, name in blocks:
        (tmp_path / name).write_text(content)
    assert sum(1 for line in (tmp_path / "kv.py").read_text().splitlines() if line.strip()) < 60
    ended = tri("run", str(tmp_path / "kv.yaml"), "--json")
    assert ended.exit_code == 0, ended.stderr
    assert ended.document["ops"]["ok"] > 100
    assert [fault["verified"] for fault in ended.document["faults"]] == [True]


@pytest.mark.full
def test_clients_in_processes_are_paused_and_killed_in_an_operation(tri) -> None:
    pause = "{client: {action: pause, clients: 2, of: register, after: 1s, for: 2s}}"
    kill = "{client: {action: kill, after: 4s, for: 1s}}"
    words = ("clients=processes", f"faults=[{pause}, {kill}]", "operation_timeout=500ms")
    ended = tri("run", CAMPAIGN, "--json", *(word for given in words for word in ("--set", given)))
    assert ended.exit_code == 0, ended.stderr
    faults = ended.document["faults"]
    assert [(fault["kind"], fault["verified"], fault["undone"]) for fault in faults] == [("client", True, True)] * 2
    causes = {(cause["type"], cause["error"]) for cause in ended.document["client_errors"]}
    assert {("info", "client-silent"), ("fail", "no-connection")} <= causes


def test_the_fault_client_needs_clients_in_processes(tri) -> None:
    ended = tri("run", CAMPAIGN, "--set", "faults=[{client: {after: 1s}}]")
    assert ended.exit_code == 2
    assert "its clients are threads, not processes" in ended.stderr and "add `clients: processes`" in ended.stderr
    ended = tri("run", CAMPAIGN, "--set", "clients=processes", "--set", "faults=[{client: {after: 1s, of: registre}}]")
    assert ended.exit_code == 2 and "did you mean 'register'" in ended.stderr

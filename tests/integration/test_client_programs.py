"""The example of docs/reference/client-programs.md as it stands: a client in Node.js on real local hosts, which faults cut, pause and kill, and whose planted bug is found."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("docs/guides/own-system.md", "docs/reference/client-programs.md")
READ = 'const { seen } = await ask("GET", key);'

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed: apt install nodejs")


@pytest.fixture
def example(tmp_path: Path, namespaces: None) -> Path:
    """The campaign, with all files of the two pages next to it."""
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        for content, name in re.findall(r"```\w+\n((?:#|//) (\S+)\n.*?)```", text, re.S):
            (tmp_path / name).write_text(content)
    return tmp_path / "kv_node.yaml"


def history(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(document["run"]) / "history.jsonl").read_text().splitlines()]


def test_faults_cut_pause_and_kill_the_program_and_it_is_linearizable(tri, example: Path) -> None:
    ended = tri("run", str(example), "--json")
    assert ended.exit_code == 0, ended.stderr
    document = ended.document
    faults = [(fault["kind"], fault["verified"], fault["undone"]) for fault in document["faults"]]
    assert faults == [("cut", True, True), ("client", True, True), ("client", True, True)]
    assert document["ops"]["ok"] > 100
    causes = {(cause["type"], cause["error"]) for cause in document["client_errors"]}
    assert {("info", "client-silent"), ("fail", "no-connection")} <= causes

    cut = document["faults"][0]
    during = [
        line["type"]
        for line in history(document)
        if line["process"] != "nemesis"
        and line["type"] != "invoke"
        and cut["seen_ns"] + 100_000_000 < line["time"] < cut["heal_ns"]
    ]
    assert during and "ok" not in during, "the program is cut as well"


@pytest.mark.full
def test_its_planted_bug_is_found(tri, example: Path) -> None:
    """A client that keeps what it read once."""
    program = example.with_name("kv_client.js")
    text = program.read_text()
    assert text.count(READ) == 1
    cached = "const { seen } = (ask.cache ??= {})[key] ??= await ask('GET', key);"
    program.write_text(text.replace(READ, cached))
    ended = tri("run", str(example), "--json", "--set", "faults=[]", "--set", "duration=3s")
    assert ended.exit_code == 1, ended.stderr
    anomaly = ended.document["checkers"]["linearizable"]["anomalies"][0]
    assert 2 <= len(anomaly["ops"]) <= 8
    events = {line["index"]: line for line in history(ended.document)}
    assert any(events[index]["f"] == "read" for index in anomaly["ops"])


def test_a_program_that_does_not_start_ends_the_run_before_its_load(tri, example: Path) -> None:
    example.with_name("kv_client.js").write_text('require("no-such-driver");\n')
    ended = tri("run", str(example))
    assert ended.exit_code == 4, ended.stderr
    assert "node kv_client.js ended with exit status 1" in ended.stderr
    assert "its last words: Error: Cannot find module 'no-such-driver'" in ended.stderr
    (kept,) = (example.parent / "runs/kv-node/latest/clients").iterdir()
    assert "Cannot find module" in kept.read_text()

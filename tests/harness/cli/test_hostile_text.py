"""Text of others on a terminal: keys, values, names of files and messages of hosts move no cursor, set no colour, hide nothing, forge no markup."""

from __future__ import annotations

import ast
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from tests.integration.running import ROOT
from tribulation.harness.cli import judgement
from tribulation.harness.cli.console import _Console, marked
from tribulation.harness.run.drive.causes import Causes
from tribulation.harness.systems.base import Outcome
from tribulation.histories.printable import in_a_line, printable

EVIL = "\x1b[2J\x1b]0;title\x07[red]x[/red][link=file:///x]y[/link]\r\nvalid\u202e\x9b31m\x7f:smile:"
OURS = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[[0-9]*[AK]|\x1b\[2K|\r")
"""What rich itself writes on a terminal: colours, the cursor of a live line."""


def _history(folder: Path) -> Path:
    """A read of what was never written, by which every text of the history is shown."""
    common = {"process": 0, "key": EVIL, "workload": "register", "level": "linearizable", "node": "n1"}
    lines = [
        {"index": 0, "time": 0, "type": "invoke", "f": "write", "value": EVIL, **common},
        {"index": 1, "time": 10, "type": "ok", "f": "write", "value": EVIL, **common},
        {"index": 2, "time": 20, "type": "invoke", "f": "read", "value": None, **common},
        {"index": 3, "time": 30, "type": "ok", "f": "read", "value": EVIL + "2", **common},
        {"index": 4, "time": 40, "type": "invoke", "f": "write", "value": 3, **common},
        {"index": 5, "time": 50, "type": "fail", "f": "write", "value": 3, "error": EVIL, **common},
    ]
    path = folder / "history.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def _tri(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "tribulation.harness.cli", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60)


def _tri_on_a_terminal(*words: str) -> str:
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200", "PYTHONUTF8": "1"}
    command = [sys.executable, "-P", "-m", "tribulation.harness.cli", *words]
    process = subprocess.Popen(command, cwd=ROOT, stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    said = b""
    try:
        while chunk := os.read(master, 65536):
            said += chunk
    except OSError:  # how a terminal says that its other end is closed
        pass
    finally:
        os.close(master)
        process.wait(timeout=60)
    return said.decode()


def _is_clean(text: str) -> bool:
    return printable(text) == text


@pytest.mark.parametrize("options", [(), ("--explain",)], ids=["plain", "explain"])
def test_a_hostile_history_is_shown_as_text(tmp_path: Path, options: tuple[str, ...]) -> None:
    path = _history(tmp_path)
    done = _tri("check", str(path), *options)
    assert done.returncode == 1, done.stderr
    assert _is_clean(done.stdout) and _is_clean(done.stderr)
    assert "\\u001b[2J" in done.stdout and "[red]x[/red]" in done.stdout and ":smile:" in done.stdout
    assert not re.search("^valid", done.stdout, re.M), "a key must not begin a line"
    shown = _tri_on_a_terminal("check", str(path), *options)
    assert "\x1b[" in shown and "[red]x[/red]" in OURS.sub("", shown)
    assert _is_clean(OURS.sub("", shown))


def test_the_name_of_an_operation_and_the_reason_of_a_failure_forge_no_verdict(tmp_path: Path) -> None:
    f, path = "x\n\nvalid (as expected)\n", tmp_path / "history.jsonl"
    lines = [{"process": 0, "type": type, "f": f, "value": 1} for type in ("invoke", "ok")]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for options in ((), ("--explain",), ("--checker", "vacuity")):
        said = _tri("check", str(path), *options).stdout
        assert "unjudged" in said and "\\u000a" in said and not re.search(r"^\s*valid \(as", said, re.M), said


def test_the_causes_of_failures_are_one_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    causes = Causes()
    causes.add(Outcome("info", error="x\n\nvalid\n" + "e" * 1_000_000, extra={"message": "\nvalid\n"}))
    console = _Console(width=100)
    monkeypatch.setattr(judgement, "out", console)
    with console.capture() as caught:
        judgement._print_causes(causes.top())
    said = caught.get()
    assert "1 × info x\\u000a" in said and len(said) < 1000 and "\nvalid" not in said


def test_json_is_the_same_document(tmp_path: Path) -> None:
    done = _tri("check", str(_history(tmp_path)), "--json")
    assert done.returncode == 1 and _is_clean(done.stdout)
    (anomaly, *_) = json.loads(done.stdout)["checkers"]["linearizable"]["anomalies"]
    assert "\\u001b[2J" in anomaly["explanation"]


@pytest.mark.parametrize("command", ["run", "check", "report", "replay", "no-such"])
def test_names_on_the_command_line_come_back_as_text(tmp_path: Path, command: str) -> None:
    done = _tri(command, f"{tmp_path}/{EVIL.replace('/', '')}")
    assert done.returncode == 2 and _is_clean(done.stdout) and _is_clean(done.stderr)


def test_a_hostile_campaign_ends_in_text(tmp_path: Path) -> None:
    path = tmp_path / "campaign.yaml"
    path.write_text(json.dumps({"name": EVIL, EVIL: EVIL, "system": {"name": EVIL}}))
    done = _tri("run", str(path))
    assert (
        done.returncode == 2 and _is_clean(done.stderr) and "\\u001b" in done.stderr + done.stdout
    ) or "\\x1b" in done.stderr


def test_values_are_never_markup() -> None:
    text = marked("[red]{}[/] {:.1f} {}", "[/][link=x]\\", 1.25, "[bold]")
    assert text.plain == "[/][link=x]\\ 1.2 [bold]" and [str(span.style) for span in text.spans] == ["red"]
    console = _Console(force_terminal=True, width=60)
    table = Table()
    table.add_column("[red]head")
    table.add_row("[red]\x1b[31mcell\x07")
    with console.capture() as caught:
        console.print("[red]\x1b[31m", "[blink]", style="green")
        console.print(table)
    shown = caught.get()
    assert "[red]\\u001b[31m" in shown and "[blink]" in shown and "\\u001b[31mcell\\u0007" in shown
    assert "[red]head" in OURS.sub("", shown) and _is_clean(OURS.sub("", shown))


def test_what_is_marked_is_a_template_of_ours() -> None:
    """A template that is put together could have a value's markup in it."""
    for path in (ROOT / "harness").rglob("*.py"):
        source = path.read_text()
        assert "from_markup" not in source or path.name == "console.py", path
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "marked":
                assert isinstance(node.args[0], ast.Constant), f"{path}:{node.lineno}"


@given(st.text())
def test_what_is_printable_stays_so_and_json_keeps_its_values(text: str) -> None:
    assert printable(printable(text)) == printable(text) and "\x1b" not in printable(text)
    assert "\n" not in in_a_line(text) and "\t" not in in_a_line(text)
    assert json.loads(printable(json.dumps(text, ensure_ascii=False))) == text

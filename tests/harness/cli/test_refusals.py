"""A wrong command line: one style of error, a suggestion for every choice, and completion by the shell."""

from __future__ import annotations

import errno
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from tribulation.harness.cli.choices import Later, Named
from tribulation.harness.cli.commands import COMMANDS
from tribulation.harness.cli.main import cli, main
from tribulation.harness.errors import CampaignError

FREE_TEXT = {
    "failure",
    "options",
    "campaign",
    "overrides",
    "hosts",
    "name",
    "regions",
    "wan",
    "dask",
    "only",
    "host",
    "lab",
    "keep",
    "every",
}
"""Parameters whose value is no name from a list."""


def _commands(group: click.Group, path: str = "tri") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _parameters() -> list[tuple[str, click.Parameter]]:
    return [(path, param) for path, command in _commands(cli) for param in command.params]


CHOICES = [(path, param, param.type) for path, param in _parameters() if isinstance(param.type, Named)]


def _refused(capsys: Any, *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert ended.value.code == 2
    text: str = capsys.readouterr().err
    return text


def test_a_parameter_with_known_values_is_a_choice() -> None:
    """Text without a type is text that nothing can list; click's own choices have a style and no suggestion of their own."""
    texts = {(path, param.name) for path, param in _parameters() if param.type is click.STRING}
    assert {each for each in texts if each[1] not in FREE_TEXT and not str(each[1]).startswith("old_")} == set()
    assert [path for path, param in _parameters() if isinstance(param.type, click.Choice)] == []


@pytest.mark.parametrize(("path", "param", "kind"), CHOICES, ids=[f"{path} {param.name}" for path, param, _ in CHOICES])
def test_a_choice_suggests_and_completes(path: str, param: click.Parameter, kind: Named) -> None:
    known = kind.names()
    assert known and kind.convert(known[0], param, None) == known[0]
    longest = max(known, key=len)
    misspelt = longest[:-1] + "~"
    if not isinstance(kind, Later):
        with pytest.raises(CampaignError) as refused:
            kind.convert(misspelt, param, None)
            assert f"unknown {kind.name} {misspelt!r}" in refused.value.message and longest in str(refused.value.hint)
    found = {item.value for item in kind.shell_complete(click.Context(cli), param, longest[:2])}
    assert longest in found and all(name.startswith(longest[:2]) for name in found)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rum"], ["unknown command 'tri rum'", "'tri run'"]),
        (["hosts", "upp"], ["unknown command 'tri hosts upp'", "'tri hosts up'"]),
        (["run", "quickstrat"], ["unknown campaign 'quickstrat'", "'quickstart'"]),
        (["run", "--sed", "3"], ["tri run: no option '--sed'", "'--seed'"]),
        (["search", "quickstart", "--seeds", "x"], ["tri search: --seeds: 'x'", "hint: --seeds: how many"]),
        (["report"], ["tri report: missing RUN", "hint: for example `tri report runs/latest`"]),
        (["show", "fault", "partitoin"], ["unknown fault 'partitoin'", "'partition'"]),
        (["list", "fault"], ["unknown list 'fault'", "'faults'"]),
        (["run", "quickstart", "--hosts", "nowhere.yaml"], ["--hosts nowhere.yaml: no such inventory file"]),
        (["doctor", "--hosts", "nowhere.yaml"], ["--hosts nowhere.yaml: no such inventory file"]),
        (["doctor", "--hosts", "lcoal"], ["--hosts 'lcoal'", "'local'"]),
        (["run", "quickstart", "--set", "duration=5"], ["--set duration:", "(got 5)", "hint: correct --set duration"]),
        (["run", "quickstart", "--set", "duratoin=5s"], ["--set duratoin:", "'duration'"]),
        (["nodes"], ["missing --host", "tri demo cluster"]),
    ],
)
def test_a_mistake_is_named_with_its_place_and_a_hint(capsys: Any, words: list[str], said: list[str]) -> None:
    reported = _refused(capsys, *words)
    assert reported.count("error: ") == 1 and "\n\nhint: " in reported and "Usage:" not in reported
    assert [each for each in said if each not in reported] == []


def test_a_mistake_of_set_blames_no_file(capsys: Any) -> None:
    reported = _refused(capsys, "run", "quickstart", "--set", "hosts.nodes=99")
    assert "quickstart.yaml" not in reported.partition("error: ")[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_ends_its_help_in_an_example_that_it_accepts(name: str) -> None:
    text = CliRunner().invoke(cli, [name, "--help"]).output
    example = COMMANDS[name].example
    assert text.rstrip().endswith(example)
    words = shlex.split(example.removeprefix('eval "$(').removesuffix(')"'))
    assert words[:2] == ["tri", name]
    command: Any = cli.get_command(click.Context(cli), name)
    given = [
        __file__
        if word.endswith((".yaml", ".jsonl", ".edn", ".py", ".tar.gz"))
        else "."
        if word.startswith("runs/")
        else word
        for word in words[2:]
    ]
    if isinstance(command, click.Group):
        command = command.get_command(click.Context(command), given.pop(0))
    assert command.make_context(name, given).params


def test_help_has_its_groups() -> None:
    text = CliRunner().invoke(cli, ["--help"]).output
    assert [
        title
        for title in ("Run:", "Judge and explain:", "Look up:", "Hosts:", "Reference cluster:")
        if title not in text
    ] == []
    assert [name for name in COMMANDS if f"  {name} " not in text] == []


def _completed(words: str, at: int) -> list[str]:
    environment = {**os.environ, "_TRI_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(at)}
    done = subprocess.run(
        [sys.executable, "-m", "tribulation.harness.cli"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_the_shell_completes_commands_and_names() -> None:
    assert set(_completed("tri sh", 1)) == {"shrink", "show"}
    assert _completed("tri show fault pa", 3) == ["partition", "pause"]


def test_the_script_of_a_shell_asks_tri(capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["completion", "bash"])
    assert ended.value.code == 0 and "_TRI_COMPLETE=bash_complete" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command", ["check", "replay", "shrink", "explain", "report", "run", "export", "show", "compare", "upgrade", "try"]
)
def test_a_name_that_the_system_refuses_is_a_mistake_of_the_command_line(command: str, capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "x" * 5000, *(["y"] if command == "compare" else [])])
    reported = capsys.readouterr().err
    assert ended.value.code == 2, reported
    assert "hint:" in reported and "internal" not in reported


@pytest.mark.parametrize(
    ("asked", "code"), [("zsh_bogus", 2), ("bash_complete", 2), ("\x1b[31m", 2), ("bash_source", 0), ("", 0)]
)
def test_a_shell_that_asks_wrongly_for_completion_gets_no_code_of_a_verdict(
    asked: str, code: int, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setenv("_TRI_COMPLETE", asked)
    with pytest.raises(SystemExit) as ended:
        main(["list", "faults"])
    assert ended.value.code == code
    assert ("hint:" in capsys.readouterr().err) is (code == 2)


def test_a_disk_that_is_full_is_no_error_of_ours(monkeypatch: Any, capsys: Any) -> None:
    def full(self: click.Command, context: click.Context) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(click.Command, "invoke", full)
    with pytest.raises(SystemExit) as ended:
        main(["list", "faults"])
    assert ended.value.code == 4 and "No space left" in capsys.readouterr().err


@pytest.mark.parametrize("base", ["RunningUnit", "RunningCgroup"])
def test_a_system_that_runs_already_is_not_tried(capsys: Any, tmp_path: Path, base: str) -> None:
    """The trial would kill and pause it."""
    adapter = tmp_path / "shop.py"
    head = f"from tribulation.testing import DriverClient, {base}\n"
    shop = f"class Shop({base}):\n    unit, cgroup, port = 'shop.service', 'shop.slice', 8500\n"
    own = "class ShopClient(DriverClient):\n    def connect(self, address, timeout_s): ...\n\nservice, client = Shop, ShopClient\n"
    adapter.write_text(f"{head}\n{shop}\n{own}")
    refused = _refused(capsys, "try", str(adapter))
    assert "Shop attaches to a running system" in refused and "hint: try a copy" in refused

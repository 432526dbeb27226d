"""Commands on documentation pages exist with their options, and those that need no hosts do what the pages say.

Not executed: commands on hosts, searches of minutes, and commands about runs of a reader's own.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from tribulation.harness.cli.main import cli, main

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = re.compile(r"^```(\w*)\n(.*?)^```", re.S | re.M)
NOT_ONE_COMMAND = ("…", "[", "|", "<", "{", "$(")
"""Words with these stand for others: a line with one is a form of a command, not a command."""


def _commands() -> dict[str, list[str]]:
    """The words of each command in a block of code, by page and command."""
    found = {}
    for page in PAGES:
        for language, block in BLOCKS.findall(page.read_text(encoding="utf-8")):
            if language not in ("", "sh", "bash", "console", "text"):
                continue
            for line in re.sub(r"\\\n\s*", " ", block).splitlines():
                shown = re.match(r"(?:\$ )?(tri [a-z].*)", line)
                if shown is None:
                    continue
                # What follows after two spaces, or after a #, says what the command does.
                text = re.split(r"\s{2,}|\s#", shown[1])[0]
                try:
                    found[f"{page.relative_to(ROOT)}: {text}"] = shlex.split(text)[1:]
                except ValueError:
                    continue
    return found


COMMANDS = _commands()


def _problem(words: list[str]) -> str | None:
    """What is wrong with a command: no such command, or no such option of it."""
    command: click.Command = cli
    context = click.Context(cli, info_name="tri")
    while isinstance(command, click.Group) and words:
        name, *words = words
        found = command.get_command(context, name)
        if found is None:
            return f"no command {name}"
        command = found
        context = click.Context(command, info_name=name, parent=context)
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in {*known, "--help"}]
    return f"no option {unknown[0]}" if unknown else None


def test_every_documented_command_has_the_options_that_the_page_gives_it() -> None:
    assert len(COMMANDS) > 60
    forms = {name: words for name, words in COMMANDS.items() if not any(mark in name for mark in NOT_ONE_COMMAND)}
    wrong = {name: problem for name, words in forms.items() if (problem := _problem(words)) is not None}
    assert wrong == {}


def test_it_would_be_noticed() -> None:
    assert _problem(["run", "x", "--sedes", "3"]) == "no option --sedes"
    assert _problem(["rnu", "x"]) == "no command rnu"
    assert _problem(["hosts", "up", "--nodes", "3"]) is None


def _of(*starts: str) -> list[str]:
    """One of each documented command that begins so."""
    unique = {" ".join(words): name for name, words in COMMANDS.items() if " ".join(words).startswith(starts)}
    return [text for text in unique if ">" not in text and not any(mark in text for mark in NOT_ONE_COMMAND)]


def _run(words: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


@pytest.mark.parametrize("text", _of("show ", "list "))
def test_what_only_prints_prints(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(shlex.split(text), tmp_path, monkeypatch) == 0
    assert capsys.readouterr().out or " runs " in text


@pytest.mark.full
@pytest.mark.parametrize("text", [text for text in _of("run ") if "--hosts sim" in text and ".yaml" not in text])
def test_a_simulated_run_ends_as_its_campaign_expects(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(shlex.split(text), tmp_path, monkeypatch) == (1 if "flaws/" in text else 0)
    assert "(as expected)" in capsys.readouterr().out

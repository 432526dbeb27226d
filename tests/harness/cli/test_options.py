"""Options that several commands have: what is a length of time, and what is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tribulation.harness.campaign.packaged import name_of, path_of
from tribulation.harness.cli.machines import nodes, try_system
from tribulation.harness.cli.main import cli
from tribulation.harness.cli.options import CampaignType, DurationType
from tribulation.harness.errors import CampaignError


@pytest.mark.parametrize(("text", "seconds"), [("60s", 60.0), ("2m", 120.0), ("1.5", 1.5), ("500ms", 0.5)])
def test_a_duration_is_reported_in_seconds(text: str, seconds: float) -> None:
    assert DurationType().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["0", "0s", "-1", "-5s", "nan", "inf", "soon", "1e300", "1001h"])
def test_what_cannot_pass_is_refused_with_the_value(text: str) -> None:
    with pytest.raises(click.BadParameter, match=text):
        DurationType().convert(text, None, None)


@pytest.mark.parametrize(
    ("command", "reported"),
    [
        ("check x --time 5", "--time is now --checker-timeout"),
        ("search quickstart --time 5s", "--time is now --cpu-time"),
        ("hosts up --provider qemu", "--provider is now --hosts"),
        ("hosts down --provider qemu", "--provider is now --hosts"),
    ],
)
def test_a_former_meaning_of_an_option_is_refused_with_the_new_name(command: str, reported: str) -> None:
    result = CliRunner().invoke(cli, command.split())
    assert result.exit_code == 2 and reported in result.output


@pytest.mark.parametrize("word", ["--time", "--jobs", "--runs", "--set", "--json"])
def test_an_option_means_the_same_in_every_command(word: str) -> None:
    options = [
        option
        for command in _commands(cli, click.Context(cli))
        for option in command.params
        if isinstance(option, click.Option) and word in option.opts and not option.hidden
    ]
    assert options and len({(option.name, option.type.name, option.multiple) for option in options}) == 1


@pytest.mark.parametrize(
    ("option", "number"),
    [
        *(("--jobs", number) for number in ("0", "-1", "513", "99999999999", "1e3", "")),
        ("--seeds", "9" * 30),
        ("--first", "9" * 30),
    ],
)
def test_numbers_of_a_search_have_bounds(option: str, number: str) -> None:
    done = CliRunner().invoke(cli, ["search", "quickstart", option, number])
    assert isinstance(done.exception, (SystemExit, click.UsageError)) and option in f"{done.output}{done.exception}"


def test_no_command_takes_an_empty_path_for_the_current_folder() -> None:
    for command in _commands(cli, click.Context(cli)):
        for param in command.params:
            if isinstance(param.type, click.Path):
                with pytest.raises(click.BadParameter, match="'' is not a path"):
                    param.type.convert("", param, click.Context(command))


@pytest.mark.parametrize("words", [["check"], ["run"], ["check", "h", "--junit"], ["new", "system", "x", "--folder"]])
def test_an_empty_path_is_wrong_usage(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, [*words, ""])
    assert done.exit_code == 2 and "'' is not a path" in done.output


def test_no_command_has_another_word_for_hosts() -> None:
    for command in _commands(cli, click.Context(cli)):
        for option in command.params:
            assert option.hidden or "--provider" not in option.opts if isinstance(option, click.Option) else True


def test_a_lab_is_no_kind_of_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "_is_lab", lambda name: name == "mine")
    result = CliRunner().invoke(cli, ["nodes", "--host", "n1", "--hosts", "mine"])
    assert isinstance(result.exception, CampaignError) and result.exception.hint == "--hosts local --name mine"


def _commands(group: click.Group, context: click.Context) -> Iterator[click.Command]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _commands(command, context)
        elif command is not None:
            yield command


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("appendfsync=no", "no"),
        ("on=on", "on"),
        ("n=12", 12),
        ("yes=true", True),
        ("at=12:30", "12:30"),
        ("v='1'", "1"),
    ],
)
def test_options_of_a_trial_are_read_as_campaigns_are(given: str, value: object) -> None:
    """`no` was read as YAML 1.1 reads it, as false: Redis was given `appendfsync false` and never started."""
    assert try_system._option(given)[1] == value


@pytest.mark.parametrize("given", ["appendfsync", "=no", "a=[1", "a=!!python/name:os.system"])
def test_an_option_of_a_trial_that_cannot_be_read_is_refused_with_its_name(given: str) -> None:
    with pytest.raises(CampaignError, match="--option"):
        try_system._option(given)


def test_a_folder_does_not_hide_the_packaged_campaign_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("quickstart").mkdir()
    assert CampaignType(exists=True).convert("quickstart", None, None) == path_of("quickstart")
    Path("other.yaml").mkdir()
    with pytest.raises(click.BadParameter, match="is a directory"):
        CampaignType(exists=True).convert("other.yaml", None, None)


def test_the_name_of_a_campaign_is_never_an_option() -> None:
    assert [name_of(Path(path)) for path in ("-mine.yaml", "mine.yaml")] == ["./-mine.yaml", "mine.yaml"]

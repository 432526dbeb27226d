"""Errors in a command line, in the style of all other errors: value, place, and a hint.

click itself prints a usage line instead of a hint, and lists possible values in its own style.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from click.core import Argument

from ..errors import CampaignError, TribulationError
from ..trouble import is_of_the_machine

_DERIVED = ("verdict.json", "shrink.json", "search.json", "digests.json", "messages.jsonl", "clients")
"""Files and folders of a run's folder that are not its evidence, but that commands read."""


class UsageRefused(TribulationError):
    """The command line is wrong; nothing was changed."""

    exit_code = 2


def refusal(error: click.ClickException) -> UsageRefused:
    """Return `error` with its place and a hint."""
    context = getattr(error, "ctx", None)
    words = context.command_path if context is not None else "tri"
    message, hint = _described(error, context, words)
    return UsageRefused(f"{words}: {message}", hint)


def refuse_to_replace(read: Path | None, **outputs: Path | None) -> None:
    """Raise `CampaignError` if a file to write is the file `read`, or a part of a run: of the folder `read`, or of a run's folder that contains it.

    `outputs`: the path of each output by the name of its option, or of its argument in capitals.
    """
    from ..evidence.seal import RUN_FILE

    for name, path in outputs.items():
        if path is None or not path.exists():
            continue
        if read is not None and _is_part(path, read):
            why = "what the command reads"
        elif run := next(
            (folder for folder in path.resolve().parents if (folder / RUN_FILE).is_file() and _is_part(path, folder)),
            None,
        ):
            why = f"evidence of the run {run}"
        else:
            continue
        raise CampaignError(
            f"{name if name.isupper() else f'--{name}'}: {path} is {why}, and would be lost", hint="name another file"
        )


@contextmanager
def writing_named(path: Path, option: str = "", hint: str = "name a file in a folder that exists") -> Iterator[None]:
    """Guard code that writes a file that the user named. Raises `CampaignError` if it may not be written, and `OSError` for an error of the machine, such
    as a full disk.
    """
    try:
        yield
    except OSError as error:
        if is_of_the_machine(error):
            raise
        raise CampaignError(f"{option and f'{option}: '}cannot write {path}: {error.strerror}", hint=hint) from error


def _is_part(path: Path, read: Path) -> bool:
    from ..evidence.seal import FOLDERS, PARTS, RUN_FILE

    if not read.is_dir():
        return read.exists() and path.samefile(read)
    inside = path.resolve()
    own = inside.relative_to(read.resolve()).parts if inside.is_relative_to(read.resolve()) else ()
    return own[:1] != () and own[0] in (*PARTS, *FOLDERS, RUN_FILE, *_DERIVED)


def _described(error: click.ClickException, context: click.Context | None, words: str) -> tuple[str, str]:
    help_hint = f"`{words} --help` lists what there is"
    match error:
        case click.NoSuchOption():
            close = difflib.get_close_matches(error.option_name, _options(context), n=1, cutoff=0.6)
            return f"no option {error.option_name!r}", f"did you mean {close[0]!r}?" if close else help_hint
        case click.MissingParameter():
            return f"missing {_name(error.param)}", _example(context) or help_hint
        case click.BadParameter() if error.param is not None:
            return f"{_name(error.param)}: {_plain(error.message)}", _meaning(error.param) or help_hint
        case _:
            return _plain(error.format_message()), help_hint


def _name(param: click.Parameter | None) -> str:
    if param is None:
        return "an argument"
    return param.human_readable_name if isinstance(param, Argument) else max(param.opts, key=len)


def _meaning(param: click.Parameter | None) -> str | None:
    """Return the name and the help text of an option; None without a help text."""
    text = getattr(param, "help", None)
    return None if not text else f"{_name(param)}: {text[0].lower()}{text[1:]}"


def _options(context: click.Context | None) -> list[str]:
    if context is None:
        return []
    return [
        name for param in context.command.get_params(context) if not getattr(param, "hidden", 0) for name in param.opts
    ]


def _example(context: click.Context | None) -> str | None:
    """Return the example of the command, from the end of its help."""
    epilog = getattr(context.command, "epilog", None) if context is not None else None
    return f"for example `{epilog.rpartition(chr(10))[2].strip()}`" if epilog else None


def _plain(message: str) -> str:
    """Return a message for the middle of a sentence: in one line, with a small first letter, without a full stop."""
    text = " ".join(message.split()).rstrip(".")
    return text[:1].lower() + text[1:] if text[:2].istitle() or text[:1] == "N" else text

"""`tri convert SOURCE TARGET`: a history in another format."""

from __future__ import annotations

from pathlib import Path

import click

from ..choices import Named, history_formats
from ..console import say
from ..options import PathType
from ..refusals import refuse_to_replace, writing_named


@click.command("convert")
@click.argument("source", type=PathType())
@click.argument("target", type=PathType())
@click.option(
    "--from",
    "source_format",
    type=Named("history format", history_formats),
    help="The format of SOURCE; detected by default.",
)
@click.option(
    "--to",
    "target_format",
    type=Named("history format", history_formats),
    help="The format of TARGET; by default that of the file name's ending.",
)
def command(source: Path, target: Path, source_format: str | None, target_format: str | None) -> int:
    """Read the history SOURCE, or that of a run's folder, and write it to TARGET in another format.

    Formats: jsonl, edn, edn-vector, jepsen-log, elle-json, awdit, isovista.
    """
    from tribulation.histories import HistoryError
    from tribulation.histories.formats import detect, read, write
    from tribulation.histories.formats.registry import format_named

    from ...errors import CampaignError

    refuse_to_replace(source, TARGET=target)
    if source.is_dir():
        source = source / "history.jsonl"
    try:
        if target_format is not None:
            format_named(target_format)
        before = detect(source) if source_format is None else format_named(source_format)
        history = read(source, before)
        operations = len(history.columns)
        with writing_named(target):
            after = write(history, target, target_format)
    except HistoryError as error:
        raise CampaignError(error.message, hint=error.hint or "tri convert --help lists the formats") from error
    say(f"{source} ({before}) → {target} ({after}): {operations} operations")
    return 0

"""`tri import FILE`: unpacks the run of an archive to a new run folder."""

from __future__ import annotations

from pathlib import Path

import click

from ..console import say
from ..options import PathType, runs_option


@click.command("import")
@click.argument("file", type=PathType(exists=True, dir_okay=False))
@runs_option()
def command(file: Path, runs: Path) -> None:
    """Unpack FILE, which `tri export` wrote, to a new folder among the run folders, and print the folder's name.

    Exit code: 0 unpacked, 2 not such an archive, 4 the folder cannot be written.
    """
    from ...evidence.archive import unpack

    run = unpack(file, runs)
    if (run / "plugins").is_dir():
        say(
            "the run has plugins, which are code: they run only with --trust-plugins; without it, the verdict of `tri check` is at best unknown"
        )
    click.echo(str(run))

"""`tri export RUN FILE`: a run's folder as one archive, without private keys."""

from __future__ import annotations

from pathlib import Path

import click

from ...errors import CampaignError
from ..console import say
from ..options import PathType
from ..refusals import refuse_to_replace


@click.command("export")
@click.argument("run", type=PathType(exists=True, file_okay=False))
@click.argument("file", type=PathType(dir_okay=False))
def command(run: Path, file: Path) -> None:
    """Write the folder RUN to FILE, a tar.gz archive that `tri import` reads. Private keys in logs are removed.

    Exit code: 0 written, 2 not a run's folder, or a private key in its evidence.
    """
    from ...evidence.archive import pack

    if not file.name.endswith((".tar.gz", ".tgz")):
        raise CampaignError(f"{file}: the archive is a .tar.gz file", hint=f"name it {file.name}.tar.gz")
    refuse_to_replace(run, FILE=file)
    for name in pack(run, file):
        say(f"private keys removed: {name}")
    click.echo(str(file))

"""`tri export RUN FILE`: a run's folder as one archive, without private keys."""

from __future__ import annotations

from pathlib import Path

import click

from ...errors import CampaignError
from ..console import say


@click.command("export")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def command(run: Path, file: Path) -> None:
    """Write the folder RUN to FILE, a tar.gz archive that `tri import` reads. Private keys in logs are removed.

    Exit code: 0 written, 2 not a run's folder, or a private key in its evidence.
    """
    from ...evidence.archive import pack

    if not file.name.endswith((".tar.gz", ".tgz")):
        raise CampaignError(f"{file}: the archive is a .tar.gz file", hint=f"name it {file.name}.tar.gz")
    for name in pack(run, file):
        say(f"private keys removed: {name}")
    click.echo(str(file))

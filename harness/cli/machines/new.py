"""`tri new system NAME`: writes a commented adapter that runs, as a start."""

from __future__ import annotations

from pathlib import Path

import click

from ..choices import Group
from ..console import out
from ..options import PathType


@click.group("new", cls=Group)
def command() -> None:
    """Write files to start from."""


@command.command("system")
@click.argument("name")
@click.option("--folder", type=PathType(file_okay=False), default=Path(), help="Where; default: here.")
def system(name: str, folder: Path) -> None:
    """Write an adapter for a system called NAME, a small server for it, and a campaign."""
    from ...adapters.skeleton import write_system

    adapter, server, campaign = write_system(name, folder)
    out.print(
        f"{adapter}\n{server}\n{campaign}\n\ntri try {adapter}    reports what is wrong with the adapter\ntri run {campaign}    runs the campaign",
        markup=False,
        highlight=False,
    )

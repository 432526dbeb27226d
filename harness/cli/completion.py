"""`tri completion SHELL`: the script that completes commands, options and their values."""

from __future__ import annotations

import click

from .choices import Named

VARIABLE = "_TRI_COMPLETE"
SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=Named("shell", SHELLS))
def command(shell: str) -> None:
    """Print the completion script of SHELL, for the file that it reads when it starts."""
    from click.shell_completion import get_completion_class

    from .main import cli

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(cli, {}, "tri", VARIABLE).source())

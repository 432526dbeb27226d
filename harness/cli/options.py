"""Options of several commands, each with one meaning, one wording and one default."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from .choices import Named, campaigns, unknown

F = TypeVar("F", bound=Callable[..., Any])


class DurationType(click.ParamType):  # type: ignore[type-arg]
    """A positive duration, such as `60s`, `2m` or a bare number of seconds. The value is in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from ..user_files.quantities import LONGEST_NS, format_ns, parse_ns

        try:
            seconds = float(value)
        except ValueError:
            try:
                seconds = parse_ns(value) / 1e9
            except ValueError as error:
                self.fail(str(error), param, ctx)
        if not 0 < seconds <= LONGEST_NS / 1e9:
            longest = format_ns(LONGEST_NS)
            self.fail(
                f"{value!r} is not a valid duration: use a positive one, such as 60s, up to {longest}",
                param,
                ctx,
            )
        return seconds


class PathType(click.Path):
    """A path, as a `Path`. The empty text is refused, because Python takes it for the current folder."""

    def __init__(self, *, exists: bool = False, file_okay: bool = True, dir_okay: bool = True) -> None:
        super().__init__(exists=exists, file_okay=file_okay, dir_okay=dir_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail(
                "'' is not a path; use . for the current folder" if self.dir_okay else "'' is not a path", param, ctx
            )
        return super().convert(value, param, ctx)


class CampaignType(PathType):
    """A campaign: a file, or the name of one that comes with the package. A file of this name comes first."""

    name = "campaign"

    def __init__(self, *, exists: bool = False) -> None:
        super().__init__(exists=exists, dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from ..campaign.packaged import path_of

        if value == "":
            return super().convert(value, param, ctx)
        exists = Path(value).exists()
        # A folder is not a campaign. With `--runs .` there may be one with the name of a packaged campaign.
        packaged = None if exists and not Path(value).is_dir() else path_of(str(value))
        if packaged is None and not exists and Path(value).suffix not in (".yaml", ".yml"):
            raise unknown("campaign", str(value), campaigns())
        return super().convert(packaged or value, param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        named = Named("campaign", campaigns).shell_complete(ctx, param, incomplete)
        return [*named, *super().shell_complete(ctx, param, incomplete)]


def hosts_option(text: str, default: str | None = None) -> Callable[[F], F]:
    """Return an option that the command gets as `hosts`: the name of a provider, or an inventory's file."""
    return click.option(
        "--hosts", default=default, show_default=default is not None, metavar="local|qemu|vagrant|INVENTORY", help=text
    )


def time_option(text: str = "Stop after this time.", default: str | None = None) -> Callable[[F], F]:
    """Return an option that the command gets as `time_s`: the real time after which the command stops, and keeps the result so far."""
    return click.option("--time", "time_s", type=DurationType(), default=default, show_default=True, help=text)


MOST_JOBS = 512
"""The most processes. Each needs memory as soon as it starts."""


def jobs_option(command: F) -> F:
    """Add an option that the command gets as `jobs`: a number of processes."""
    text = "Number of processes.  [default: one per processor]"
    return click.option("--jobs", type=click.IntRange(min=1, max=MOST_JOBS), default=processors, help=text)(command)


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def runs_option(help: str = "The folder for run folders.") -> Callable[[F], F]:
    kind = PathType(file_okay=False)
    return click.option("--runs", type=kind, default=Path("runs"), show_default=True, help=help)


def set_option(command: F) -> F:
    """Add an option that the command gets as `overrides`, a tuple of texts."""
    text = "Override a field, e.g. --set duration=10s."
    return click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help=text)(command)


def renamed_option(old: str, new: str, *, has_value: bool = False) -> Callable[[F], F]:
    """Return a hidden option of version 0.1. Its use is an error that names the new option."""

    def refuse(ctx: click.Context, param: click.Parameter, given: object) -> None:
        if given not in (None, False):
            raise click.UsageError(f"{old} is now {new}", ctx)

    return click.option(old, f"old_{old[2:]}", is_flag=not has_value, hidden=True, expose_value=False, callback=refuse)


def json_option(command: F) -> F:
    """Add an option that the command gets as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")(command)


def trust_option(command: F) -> F:
    """Add an option that sets `plugins.trust` and is not an argument of the command. Code that loads files that a run's folder names reads it there."""
    text = "Run the code that the run's folder or plan names: plugins, and the system's file. Such code may have come with the folder."

    def take(_context: click.Context, _parameter: click.Parameter, is_trusted: bool) -> None:
        from ..plugins.trust import trust

        trust(is_trusted)

    return click.option("--trust-plugins", is_flag=True, expose_value=False, callback=take, help=text)(command)


def take_over_option(command: F) -> F:
    """Add an option that the command gets as `take_over`."""
    text = "Break another user's claim of these hosts, if it was not renewed for two minutes."
    return click.option("--take-over", is_flag=True, help=text)(command)

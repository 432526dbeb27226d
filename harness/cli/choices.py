"""Options with a known set of values: a wrong value is refused with the nearest right one, and the shell completes values.

@click.option("--checker", type=Named("checker", checkers))     # unknown checker 'linearisable'; hint: did you mean 'linearizable'
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click

FEW = 60
"""The usage line shows all names if they have at most this many characters together."""


class Named(click.ParamType):  # type: ignore[type-arg]
    """One of `names`. If `names` is a function, it is called only when they are needed, so that `tri --help` does not import them."""

    def __init__(self, what: str, names: Iterable[str] | Callable[[], Iterable[str]]) -> None:
        self.name = what
        self._names = names

    def names(self) -> list[str]:
        return list(self._names() if callable(self._names) else self._names)

    def get_metavar(self, param: click.Parameter, *_: Any, **__: Any) -> str:
        shown = "" if callable(self._names) else "|".join(self.names())
        return shown if 0 < len(shown) <= FEW else self.name.upper().replace(" ", "-")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        known = self.names()
        if value in known:
            return str(value)
        raise unknown(self.name, str(value), known, param.opts[0] if isinstance(param, click.Option) else None)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in self.names() if name.startswith(incomplete)]


class Later(Named):
    """Names to which plugins of a run may add: any name is accepted here. The command refuses unknown ones after it has loaded the plugins."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value)


class Group(click.Group):
    """A group whose unknown commands are refused with the nearest one."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            raise unknown("command", f"{ctx.command_path} {args[0]}", self._called(ctx))
        return super().resolve_command(ctx, args)

    def _called(self, ctx: click.Context) -> list[str]:
        return [f"{ctx.command_path} {name}" for name in self.list_commands(ctx)]


def unknown(what: str, value: str, known: Iterable[str], option: str | None = None) -> Exception:
    """Return the error for a name that is not one of `known`. Its hint has the nearest known name."""
    from ..errors import CampaignError, shown
    from ..user_files.yaml_loader import suggest

    place = "" if option is None else f"{option}: "
    return CampaignError(f"{place}unknown {what} {shown(value)}", hint=suggest(value, list(known)))


def checkers() -> Iterable[str]:
    from tribulation.checkers.registry import CHECKERS

    return CHECKERS


def models() -> Iterable[str]:
    from tribulation.checkers.model_names import ALIASES, MODELS

    return (*MODELS, *ALIASES)


def levels() -> Iterable[str]:
    from tribulation.checkers.transactions.table.lattice import levels

    return levels()


def history_formats() -> Iterable[str]:
    from tribulation.histories.formats.registry import FORMATS

    return FORMATS


def flaws() -> Iterable[str]:
    from tribulation.node.flaws.switch import FLAWS

    return FLAWS


def campaigns() -> Iterable[str]:
    from ..campaign.packaged import names

    return names()

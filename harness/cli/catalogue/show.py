"""`tri show fault|workload|checker|flaw NAME`: its fields with types and defaults, what it needs and what it feeds. `tri show schema NAME`: a JSON Schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from ..choices import Named, unknown
from ..console import out
from ..options import json_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .entries import Entry
    from .fields import Field

KINDS = ("fault", "workload", "checker", "flaw", "schema")


class NameType(click.ParamType):  # type: ignore[type-arg]
    """A name of the kind that the argument before it gives."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in _names(ctx.params.get("kind")) if name.startswith(incomplete)]


def _names(kind: str | None) -> list[str]:
    from .entries import NAMES
    from .schemas import TITLES

    return list(TITLES) if kind == "schema" else list(NAMES[kind]()) if kind else []


@click.command("show")
@click.argument("kind", type=Named("kind", KINDS))
@click.argument("name", type=NameType())
@json_option
def command(kind: str, name: str, as_json: bool) -> None:
    """Show one fault, workload, checker or flaw: its fields with types and defaults, what it needs, what it feeds.

    A schema is the JSON Schema of a file, or of what a command prints with --json.

    \b
    tri show fault partition
    tri show checker linearizable --json
    tri show schema campaign
    """
    from .entries import entry
    from .schemas import schema

    known = _names(kind)
    if name not in known:
        raise unknown(kind, name, known)
    if kind == "schema":
        out.print_json(json.dumps(schema(name)))
        return
    found = entry(kind, name)
    if as_json:
        out.print_json(json.dumps(found.to_json(), default=str))
    else:
        _print(found)


def _print(found: Entry) -> None:
    from ..console import marked

    out.print(marked("[bold]{} {}[/]", found.kind, found.name))
    out.print(found.about)
    for title, fields in (("fields", found.fields), (f"fields of every {found.kind}", found.shared)):
        if fields:
            out.print(marked("\n[bold]{}[/]", title))
            _print_fields(fields)
    out.print()
    for title, values in found.facts.items():
        out.print(marked("[bold]{}[/]  {}", f"{title:<12}", ", ".join(values)))
    out.print(marked("[bold]{}[/]  {}", f"{'example':<12}", found.example))
    out.print(marked("[bold]{}[/]  {}", f"{'more':<12}", f"docs/{found.page}"))


def _print_fields(fields: Sequence[Field]) -> None:
    """Print for each field a line with name, type and default, and below it a line with the meaning."""
    width = max(len(row.name) for row in fields)
    for row in fields:
        default = "required" if row.required else "" if row.default is None else f"default {_value(row.default)}"
        head = f"  {row.name:<{width}}  {row.type}" + (f"  [{default}]" if default else "")
        out.print(head)
        if row.about:
            out.print(f"  {'':<{width}}    {row.about}")


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

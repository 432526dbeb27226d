"""The base class of all models of user input: each number, text and list in one has bounds, given or default, and `true` is not a number.

    class Section(BoundedModel):
        nodes: int = Field(ge=1, le=32)         # as given
        entries: int = Field(ge=1)              # at most 2^63 - 1
        name: str                               # at most 4096 characters

pydantic alone takes `true` for 1 and integers of any size, which then fail far from the file: in a plan, on a host, or in a node.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler

MOST_INTEGER = (1 << 63) - 1
LONGEST_TEXT = 4096
MOST_ITEMS = 1000

_DEFAULTS: dict[str, dict[str, Any]] = {
    "int": {"strict": True, "ge": -MOST_INTEGER, "le": MOST_INTEGER},
    "float": {"strict": True, "allow_inf_nan": False},
    "str": {"max_length": LONGEST_TEXT},
    "list": {"max_length": MOST_ITEMS},
    "dict": {"max_length": MOST_ITEMS},
    "tuple": {"max_length": MOST_ITEMS},
}


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    """Every schema in a schema."""
    if isinstance(schema, dict):
        yield schema
        for inner in list(schema.values()):
            yield from _parts(inner)
    elif isinstance(schema, list | tuple):
        for inner in schema:
            yield from _parts(inner)


class BoundedModel(BaseModel):
    """Immutable, without unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> Any:
        schema = handler(source)
        for part in _parts(schema):
            for name, value in _DEFAULTS.get(str(part.get("type")), {}).items():
                part.setdefault(name, value)
        return schema

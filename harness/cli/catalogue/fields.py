"""The fields of a section of a campaign for a reader: key, type, default, meaning. They are read from the pydantic model that validates it.

rows(PartitionSpec)[0]      # Field("shape", "halves | random-halves | …", None, True, "which links are affected")
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ...nemesis.faults import targets
from ...user_files import quantities
from ...workloads.base import parse_rate

MOST_INTEGER = 1 << 62

_READ_BY: Mapping[Callable[..., Any], str] = {
    quantities.parse_ns: "duration, e.g. 8s",
    quantities.parse_bytes: "size, e.g. 64MiB",
    quantities.parse_ppm: "chance, e.g. 5%",
    quantities.parse_bps: "bits per second, e.g. 10mbit",
    parse_rate: "rate, e.g. 400/s",
}
"""Function that reads a quantity → how the quantity is written."""

_PLAIN = {int: "integer", float: "number", str: "text", bool: "true | false"}


@dataclass(frozen=True, slots=True)
class Field:
    """`default` is as a campaign writes it; None without one."""

    name: str
    type: str
    default: Any
    required: bool
    about: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def rows(model: type[BaseModel]) -> list[Field]:
    """Return the fields of a model: required ones first, otherwise in the model's order."""
    usual = model.model_construct().model_dump(mode="json", by_alias=True, warnings=False, exclude_none=True)
    found = [_row(model, name, field, usual) for name, field in model.model_fields.items()]
    return sorted(found, key=lambda row: not row.required)


def _row(model: type[BaseModel], name: str, field: FieldInfo, usual: Mapping[str, Any]) -> Field:
    key = field.serialization_alias or field.alias or name
    kind = _quantity(field.metadata) or type_text(field.annotation) + _bounds(field.metadata)
    return Field(key, kind, usual.get(key), field.is_required(), field.description or _described(model, name))


def _described(model: type[BaseModel], name: str) -> str:
    """Return the description that the nearest base class has for the field: a model may repeat a field only to change its default."""
    models = [base for base in model.__mro__ if issubclass(base, BaseModel) and base is not BaseModel]
    above = (base.model_fields[name] for base in models if name in base.model_fields)
    return next((field.description for field in above if field.description), "")


def type_text(kind: Any) -> str:
    """Write a type as text: `integer | text`, `list of halves | bridge`, `{text: integer}`."""
    if kind in (targets.Target, targets.Target | None):
        return " | ".join((*targets.WORDS, "random(K)", "role(NAME)", "[node, …]"))
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _quantity(inner[1:]) or type_text(inner[0]) + _bounds(inner[1:])
    if origin in (typing.Union, types.UnionType):
        return " | ".join(type_text(one) for one in inner if one is not type(None))
    if origin is typing.Literal:
        return " | ".join(str(word) for word in inner)
    if origin in (list, tuple, frozenset, set):
        return f"list of {type_text(inner[0])}" if inner else "list"
    if origin is dict:
        return f"{{{type_text(inner[0])}: {type_text(inner[1])}}}"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " | ".join(str(one.value) for one in kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return f"{{{', '.join(row.name for row in rows(kind))}}}"
    return _PLAIN.get(kind, "any" if kind is Any else getattr(kind, "__name__", str(kind)))


def _quantity(metadata: typing.Iterable[Any]) -> str | None:
    readers = (getattr(each, "func", None) for each in metadata)
    return next((_READ_BY[reader] for reader in readers if reader is not None and reader in _READ_BY), None)


def _bounds(metadata: typing.Iterable[Any]) -> str:
    """Write the bounds of a field, ` (1 to 500)` or ` (from 1)`; nothing without a lower bound."""
    parts = [part for each in metadata for part in (each.metadata if isinstance(each, FieldInfo) else (each,))]
    found = {name: value for each in parts for name, value in _limits(each)}
    least, most = found.get("ge", found.get("gt")), found.get("le", found.get("lt"))
    if least is not None and most is not None and most < MOST_INTEGER:
        return f" ({least} to {most})"
    return "" if least is None else f" (from {least})"


def _limits(each: Any) -> Iterator[tuple[str, Any]]:
    for name in ("ge", "gt", "le", "lt"):
        if (value := getattr(each, name, None)) is not None:
            yield name, value

"""How the core's values are declared: events, effects, signals, messages and entries, which nobody changes once they are made.

A frozen dataclass sets each field by a call, and a node makes a dozen values in a step: that alone was an eighth of a simulation's time. So
values are frozen for the type checker, which refuses an assignment to a field, and plain dataclasses with slots at run time. They are equal, and
hash, by their fields.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

T = TypeVar("T")

if TYPE_CHECKING:
    from typing import dataclass_transform

    @dataclass_transform(frozen_default=True, field_specifiers=(field,))
    def frozen(cls: type[T]) -> type[T]: ...

else:

    def frozen(cls):
        return dataclass(slots=True, unsafe_hash=True)(cls)

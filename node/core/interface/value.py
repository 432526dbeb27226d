"""Declaration of the core's values: events, effects, signals, messages and entries, which are never changed after creation.

A frozen dataclass sets each field by a call, and a node makes a dozen values per step: that alone was an eighth of a simulation's time. So values are
frozen for the type checker, which refuses an assignment to a field, and plain dataclasses with slots at run time. Equality and hash use their fields.

`dataclass` writes and compiles the source of every method, and a docstring from the signature. With a hundred classes that was a sixth of the cost of
a node's start and first seconds. Only `__init__` is worth that cost; the other methods are closures over the fields.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import TYPE_CHECKING, TypeVar

T = TypeVar("T")

if TYPE_CHECKING:
    from typing import dataclass_transform

    @dataclass_transform(frozen_default=True, field_specifiers=(field,))
    def frozen(cls: type[T]) -> type[T]: ...

else:

    def frozen(cls):
        cls.__doc__ = cls.__doc__ or cls.__name__
        made = dataclass(slots=True, repr=False, eq=False)(cls)
        names = [item.name for item in fields(made)]
        values = attrgetter(*names) if len(names) > 1 else lambda value: tuple(getattr(value, name) for name in names)
        own = cls.__dict__

        def same(self, other):
            return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

        def hashed(self):
            return values(self).__hash__()

        def shown(self):
            inside = ", ".join(f"{name}={value!r}" for name, value in zip(names, values(self), strict=True))
            return f"{self.__class__.__qualname__}({inside})"

        for name, method in (("__eq__", same), ("__hash__", hashed), ("__repr__", shown)):
            if name not in own:
                setattr(made, name, method)
        return made

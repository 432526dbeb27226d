"""The operations of a client, and those that a workload needs and it lacks: known before anything starts.

A client with one method per operation has the operations of its methods: `read`, or `bank_read` for that of the workload `bank` alone. A client with its own `invoke`
may name its operations in an attribute `operations`; otherwise nothing is known.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, Protocol, runtime_checkable

TAKEN = frozenset(
    {"open", "close", "invoke", "connect", "disconnect", "connection", "options", "definite", "operations", "address"}
)
"""Names that a client uses for other things."""


@runtime_checkable
class HasMethods(Protocol):
    """A client with one method per operation."""

    def method_of(self, workload: str, f: str) -> Callable[..., Any] | None: ...


def find_method(client: object, workload: str, f: str) -> Callable[..., Any] | None:
    """The client's method for that operation of that workload: the workload's own, else the one by its name."""
    for name in (f"{workload}_{f}", f):
        name = name.replace("-", "_")
        method = getattr(client, name, None)
        if callable(method) and name not in TAKEN:
            found: Callable[..., Any] = method
            return found
    return None


def lacking(client: object, workload: str, asked: Iterable[str]) -> list[str]:
    """Operations of `asked` that the client certainly does not have."""
    named = getattr(client, "operations", None)
    if isinstance(named, Collection) and not isinstance(named, str):
        return sorted(set(asked) - set(named))
    if isinstance(client, HasMethods):
        return sorted(f for f in asked if client.method_of(workload, f) is None)
    return []

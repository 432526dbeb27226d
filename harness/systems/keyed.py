"""A client with its own part of the key space, so that a run meets no data of an earlier one: every key gets a prefix on its way to the system, which
is removed on its way back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .base import Client, Dial, Op, Outcome

OPERATIONS = frozenset({"read", "write", "cas", "append", "add", "txn"})
"""Operations whose keys are known here. Others concern the whole cluster."""


class KeyedClient:
    """`Client` around another one."""

    def __init__(self, client: Client, prefix: str) -> None:
        self._client, self._prefix = client, prefix

    def open(self, node: str, dial: Dial, timeout_s: float) -> None:
        self._client.open(node, dial, timeout_s)

    def invoke(self, op: Op, timeout_s: float) -> Outcome:
        """Execute an operation on this client's part of the keys. Raises `ValueError` for one that has no keys."""
        if op.f not in OPERATIONS:
            raise ValueError(f"operation {op.f!r} knows no keys; there are {', '.join(sorted(OPERATIONS))}")
        if op.f != "txn":
            return self._client.invoke(replace(op, key=f"{self._prefix}{op.key}"), timeout_s)
        outcome = self._client.invoke(replace(op, value=self._with_prefix(op.value)), timeout_s)
        return replace(outcome, value=self._without_prefix(outcome.value))

    def close(self) -> None:
        self._client.close()

    def _with_prefix(self, micros: Any) -> Any:
        return [[f, f"{self._prefix}{key}", *rest] for f, key, *rest in micros]

    def _without_prefix(self, micros: Any) -> Any:
        if micros is None:
            return None
        return [[f, str(key).removeprefix(self._prefix), *rest] for f, key, *rest in micros]

"""Histories of agent memory, one line an operation: client i talks to node i; records are episodes unless another kind is named."""

from __future__ import annotations

from typing import Any

from tribulation.checkers import CheckResult

from .lines import Lines
from .stories import MS

FACT = "fact/f1"
LATEST = {"options": {"memory": {"conflicts": "latest-wins"}}}


class Book(Lines):
    """Nodes n1 to n3. Event number i happens at i ms; what comes after `final` comes after the quiet period."""

    def __init__(self) -> None:
        super().__init__()
        self.quiet_from: int | None = None

    def learn(
        self,
        client: int,
        fields: dict[str, Any],
        *,
        key: str = "episode/e1",
        level: str = "eventual",
        ends: str = "ok",
        **more: Any,
    ) -> Book:
        value = {"kind": key.partition("/")[0], "record": key.partition("/")[2], "fields": fields}
        return self._did(client, "learn", value, key, level, ends, **more)

    def forget(self, client: int, *, key: str = "episode/e1", level: str = "eventual", ends: str = "ok") -> Book:
        return self._did(
            client, "forget", {"kind": key.partition("/")[0], "record": key.partition("/")[2]}, key, level, ends
        )

    def recall(
        self,
        client: int,
        fields: dict[str, Any] | None,
        *,
        key: str = "episode/e1",
        level: str = "eventual",
        **conflicts: Any,
    ) -> Book:
        result = None if fields is None else {"fields": fields, "conflicts": conflicts}
        self.operations.ok(client, "recall", None, result, key, level=level, served_by=f"n{client}")
        return self

    def begin(
        self,
        client: int,
        f: str,
        fields: dict[str, Any] | None = None,
        *,
        key: str = "episode/e1",
        level: str = "eventual",
    ) -> Book:
        value = {"kind": key.partition("/")[0], "record": key.partition("/")[2]}
        whole = value if fields is None else {**value, "fields": fields}
        self.operations.begin(client, f, None if f == "recall" else whole, key, level=level)
        return self

    def end(self, client: int, fields: Any = ..., level: str = "eventual") -> Book:
        more = {"level": level, "served_by": f"n{client}"}
        if fields is ...:
            self.operations.end(client, **more)
        else:
            self.operations.end(client, None if fields is None else {"fields": fields, "conflicts": {}}, **more)
        return self

    def digest(self, client: int, digest: str) -> Book:
        self.operations.ok(client, "memory-digest", None, {"digest": digest, "live": {}}, None, served_by=f"n{client}")
        return self

    def final(self) -> Book:
        self.quiet_from = len(self.operations.events)
        return self

    def everywhere(self, fields: dict[str, Any] | None, *, key: str = "episode/e1", **conflicts: Any) -> Book:
        """The final reads of all three nodes."""
        if self.quiet_from is None:
            self.final()
        for client in (1, 2, 3):
            self.recall(client, fields, key=key, **conflicts)
        return self

    def result(self, **record: Any) -> CheckResult:
        quiet_ns = len(self.operations.events) * MS if self.quiet_from is None else self.quiet_from * MS
        return self.quiet().judge("memory", **{"phases": {"quiet_end": quiet_ns}, **record})

    def _did(self, client: int, f: str, value: Any, key: str, level: str, ends: str, **more: Any) -> Book:
        if ends == "ok":
            self.operations.ok(client, f, value, key=key, level=level, served_by=f"n{client}", **more)
        elif ends == "fail":
            self.operations.fail(client, f, value, key=key)
        else:
            # Never answered: a process of its own, since it does nothing more.
            self.operations.begin(100 + len(self.operations.events), f, value, key, level=level)
        return self


def both() -> Book:
    """Two nodes each added an element."""
    return Book().learn(1, {"agents": ["a"]}).learn(2, {"agents": ["b"]})


def counted(*shown: int | None, ends: str = "ok") -> Book:
    book = Book().learn(1, {"times_used": 2}, key=FACT).learn(2, {"times_used": 3}, key=FACT)
    book.learn(3, {"times_used": 4}, key=FACT, ends=ends).final()
    for client, count in enumerate(shown, 1):
        book.recall(client, None if count is None else {"times_used": count}, key=FACT)
    return book

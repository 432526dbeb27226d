"""The application `memory`: linearizable changes of agent memory, in the order of the log.

It holds only the changes that came through the log. Every node merges them into its own memory, which also holds the changes that did not come
through the log. In version vectors, a change of the log has the replica `log` and the index of its entry as its number.
"""

from __future__ import annotations

import hashlib
from typing import Any

from ...config.node import NodeConfig
from ...flaws.switch import Flaws
from ..interface.entry import canonical
from ..memory.records.conflicts import conflicts_of
from ..memory.records.schema import change_problem, record_problem
from ..memory.records.store import LOG, Full, Key, Store
from .replicated import Fields, Result, done, refused

COMMANDS = ("memory.change", "memory.delete")
_FIELDS = {"memory.change": ("kind", "record", "fields", "op"), "memory.delete": ("kind", "record", "op")}
REMEMBERED = 4096
"""Commands whose answer is remembered: a message that brings one to the leader may arrive twice, but a count must not be added twice."""
OP_CHARACTERS = 128


class Memory:
    name = "memory"
    commands = COMMANDS
    for_clients = COMMANDS
    sent_once = ()

    def __init__(self, config: NodeConfig) -> None:
        self._flaws = Flaws.from_names(config.flaws)
        assert config.memory is not None
        self._rule = config.memory.conflicts
        self._store = self._empty()
        self._answers: dict[str, Result] = {}
        """Answers by `op`, the latest last."""
        self.view: dict[str, Any] = {}
        """By "kind/record": (kind, record, state)."""
        self.fresh: dict[str, None] = {}

    def problem(self, command: str, fields: Fields) -> str | None:
        if self._rule != "merge":
            return f"with conflicts: {self._rule} there are no linearizable changes; use the level eventual or quorum"
        unknown = next((name for name in fields if name not in _FIELDS[command]), None)
        if unknown is not None:
            return f"{command} has no field {str(unknown)[:80]!r}; its fields are {', '.join(_FIELDS[command])}"
        op = fields.get("op")
        if not isinstance(op, str) or not 1 <= len(op) <= OP_CHARACTERS:
            return (
                f"op of {command} is {str(op)[:80]!r}, not a name of 1-{OP_CHARACTERS} characters for this one command"
            )
        if command == "memory.change":
            return change_problem(fields.get("kind"), fields.get("record"), fields.get("fields"))
        return record_problem(fields.get("kind"), fields.get("record"))

    def apply(self, index: int, command: str, fields: Fields) -> Result:
        """Apply a command. A repeated `op` is not applied again: it gets the stored result, as long as that is remembered."""
        answered = self._answers.get(fields["op"])
        if answered is None:
            answered = self._answers[fields["op"]] = self._apply(index, command, fields)
            if len(self._answers) > REMEMBERED:
                del self._answers[next(iter(self._answers))]
        return answered

    def _apply(self, index: int, command: str, fields: Fields) -> Result:
        store, key = self._store, (fields["kind"], fields["record"])
        # The index is the number of the dot, so numbers have gaps. Nothing here depends on gapless numbers.
        store.vector[LOG] = index - 1
        if command == "memory.delete":
            if store.delete(*key, 0) is None:
                return refused("not-found", f"there is no {key[0]} {key[1]} that came by the log")
        else:
            try:
                store.change(*key, fields["fields"], 0)
            except Full as full:
                return refused("memory-full", str(full))
        self._note(key)
        return done()

    def query(self, fields: Fields) -> Any:
        """Answer a query. `{"kind", "record"}`: return the record with only the changes of the log. Without fields: return the number of records of
        each kind.
        """
        if fields.get("kind") is None:
            return dict(self._store.live)
        return self._store.shown(str(fields["kind"]), str(fields.get("record")))

    def dump(self) -> Any:
        records = [[kind, record, state] for (kind, record), state in sorted(self._store.records.items())]
        return {"records": records, "answers": [[op, answer] for op, answer in self._answers.items()]}

    def digest(self) -> str:
        parts = [f"{self._store.digest:032x}", sorted(map(list, self._store.tombstones)), list(self._answers)]
        return hashlib.blake2b(canonical(parts).encode(), digest_size=16).hexdigest()

    def restore(self, data: Any) -> None:
        self.fresh.update(dict.fromkeys(self.view))
        self.view = {}
        self._store = self._empty()
        data = data or {"records": [], "answers": []}
        self._answers = {op: answer for op, answer in data["answers"]}
        for kind, record, state in data["records"]:
            self._store.restore(kind, record, state)
            self._note((kind, record))

    def _note(self, key: Key) -> None:
        name = "/".join(key)
        self.view[name] = (*key, self._store.records[key])
        self.fresh[name] = None

    def _empty(self) -> Store:
        return Store(conflicts_of(self._rule, self._flaws), LOG, {})

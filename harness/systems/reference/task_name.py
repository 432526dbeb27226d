"""The id of a task that a workload submits describes the task, so that a history, a plan and a repeated run need nothing else.

    t17.generic.sleep.20.latency-aware.0.2

is the 17th task: for a `generic` agent, handler `sleep` for 20 ms, routed by latency, priority 0, with two further steps of the same kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MUCH, MUCH_CHARACTERS = "learn-much", 32 * 1024


@dataclass(frozen=True, slots=True)
class TaskName:
    number: int
    type: str = "generic"
    handler: str = "echo"
    amount: int = 0
    """Milliseconds of a sleep; how often a `fail` fails; else a number to work on. `learn-much` is the handler `learn` with 32 KiB for its key."""
    strategy: str = "local-first"
    priority: int = 0
    steps: int = 0

    def __str__(self) -> str:
        return f"t{self.number}.{self.type}.{self.handler}.{self.amount}.{self.strategy}.{self.priority}.{self.steps}"

    @classmethod
    def parse(cls, text: str) -> TaskName:
        """Parse an id. Raises `ValueError` for an id of another form."""
        parts = text.split(".")
        if len(parts) != 7 or not parts[0].startswith("t"):
            raise ValueError(
                f"{text!r} is not a task of a workload: number.type.handler.amount.strategy.priority.steps"
            )
        number, kind, handler, amount, strategy, priority, steps = parts
        return cls(int(number[1:]), kind, handler, int(amount), strategy, int(priority), int(steps))

    def fields(self) -> Mapping[str, Any]:
        """The fields of `tasks.submit` for the node."""
        handler = "learn" if self.handler == MUCH else self.handler
        work = {"type": self.type, "handler": handler, "payload": self._payload()}
        return {
            "task": str(self),
            **work,
            "strategy": self.strategy,
            "priority": self.priority,
            "steps": [work] * self.steps,
        }

    def _payload(self) -> Mapping[str, Any]:
        if self.handler == "sleep":
            return {"ms": self.amount}
        if self.handler == "fail":
            return {"times": self.amount}
        if self.handler == "learn":
            return {"set": {f"k{self.amount}": self.number}}
        if self.handler == MUCH:
            return {"set": {f"k{self.amount}": str(self.number).ljust(MUCH_CHARACTERS, ".")}}
        if self.handler == "digest":
            return {"text": str(self.number) * self.amount}
        return {"value": self.number}

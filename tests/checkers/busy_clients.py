"""Long histories of a register that is linearizable by construction: clients that never pause, each operation takes effect inside its interval."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from tribulation.histories import Event, History, Type


@dataclass
class _Open:
    process: int
    f: str
    argument: Any
    effect_done: bool = False
    result: Any = None
    kind: Type = Type.OK
    error: str | None = None


def busy_register(seed: int, operations: int, clients: int, values: int | None = 5, unknown: float = 0.0) -> History:
    """`values` None: every written value is unique. `unknown` is the share of operations that end in info, half of them without an effect."""
    random = Random(seed)
    state: Any = None
    events: list[Event] = []
    opens: list[_Open | None] = [None] * clients
    processes = list(range(clients))
    fresh = clients
    done = 0

    def write(op: _Open, kind: Type, value: Any) -> None:
        index = len(events)
        events.append(Event(index, index * 1_000_000, op.process, kind, op.f, value, error=op.error))

    while done < operations:
        client = random.randrange(clients)
        op = opens[client]
        if op is None:
            value = len(events) + 1 if values is None else random.randrange(values)
            f = random.choices(["read", "write", "cas"], [50, 35, 15])[0]
            expected = state if values is None or random.random() < 0.5 else random.randrange(values)
            argument = {"read": None, "write": value, "cas": [expected, value]}[f]
            opens[client] = op = _Open(processes[client], f, argument)
            write(op, Type.INVOKE, argument)
        elif not op.effect_done and random.random() < 0.5:
            op.effect_done = True
            op.result = op.argument
            if op.f == "read":
                op.result = state
            elif op.f == "write":
                state = op.argument
            elif state == op.argument[0]:
                state = op.argument[1]
            else:
                op.kind, op.result, op.error = Type.FAIL, state, "mismatch"
        elif random.random() < unknown:
            op.error = "timeout"
            write(op, Type.INFO, op.argument)
            opens[client], processes[client], fresh = None, fresh, fresh + 1
            done += 1
        elif op.effect_done:
            write(op, op.kind, op.result)
            opens[client] = None
            done += 1
    return History(events)

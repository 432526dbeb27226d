"""Applies hostile commands to the replicated state and prints what came of each: run by several Pythons, whose answers must be the same.

python -m tests.node.core.hostile      # standard library only; one line of JSON a command, the state's digest at last
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tribulation.node.config.node import NodeConfig
from tribulation.node.core.application.placement_fields import FIELDS
from tribulation.node.core.application.registry import Applications
from tribulation.node.core.application.state_machine import Application
from tribulation.node.core.interface.entry import canonical, parse_entry
from tribulation.node.core.interface.outbox import Outbox
from tribulation.node.core.interface.signals import Applied, Committed, Restore, SnapshotDue, SnapshotTaken

CAPACITY = {"slots": 16, "cpu_percent": 100, "memory_mib": 1024}
GOOD: dict[str, dict[str, Any]] = {
    "members.join": {
        "name": "n2",
        "host": "h",
        "port": 1,
        "udp": 2,
        "role": "hybrid",
        "capacity": CAPACITY,
        "incarnation": 1,
    },
    "members.move": {"name": "n2", "incarnation": 1, "to": "ACTIVE"},
    "members.leave": {"name": "n2"},
    "members.remove": {"name": "n2", "incarnation": 1},
    "agents.spawn": {"agent": "a", "type": "code"},
    "agents.deploy": {"agents": [{"agent": "b", "type": "code"}]},
    "agents.started": {"agents": {"a": [3, 5]}},
    "agents.checkpoint": {"agent": "a", "epoch": 3, "number": 1, "changes": {"k": 1}, "gone": [], "more": False},
    "agents.move": {"agent": "a", "epoch": 3, "to": "n2"},
    "agents.cancel": {"agent": "a", "epoch": 3, "since": 4},
    "agents.switch": {"agent": "a", "epoch": 3, "to": "n2", "since": 4},
    "agents.moved": {"agent": "a", "since": 4, "pause_ns": 5},
    "agents.respawn": {"agent": "a", "epoch": 3, "to": "n2", "lost": {"checkpoint": 1, "age_ns": 1}},
    "agents.stop": {"agent": "b"},
    "tasks.submit": {"task": "t", "type": "code", "handler": "echo", "payload": {"x": 1}},
    "tasks.assign": {"task": "t", "attempt": 1, "agent": "a", "epoch": 3},
    "tasks.result": {"task": "t", "token": 5, "epoch": 3, "ok": True, "value": 1},
    "tasks.release": {"task": "t", "token": 5},
    "memory.change": {"kind": "fact", "record": "f", "fields": {"concept": "c"}, "op": "o1"},
    "memory.delete": {"kind": "fact", "record": "f", "op": "o2"},
}
NAMES = [
    "é",
    "n ame",
    "n\u00a0ame",
    "soft\u00adhyphen",
    "\u2066turned\u2069",
    "\U0001f9a9",  # Unicode 12
    "\U0001fae8",  # Unicode 15: an older Python knows no such character
    "\U00031350",  # Unicode 15
    "\u0870",  # Unicode 14
    "\ufdd0",
    "\u200b",
    "x" * 64,
    "x" * 65,
    "",
    "a/b",
    "\u2028",
]
"""Each Python has tables of its own about which of these can be printed."""
ODD = [
    "null",
    "true",
    "-1",
    "0",
    "9" * 18,
    str(2**63),
    "9" * 400,
    "9" * 4300,
    "9" * 4301,
    "9" * 50_000,
    "1e308",
    "1e999",
]
ODD += [
    "1.5",
    "NaN",
    "-Infinity",
    '""',
    '"\\ud800"',
    '"\\u0000"',
    "[]",
    "{}",
    "[[]]",
    '{"":{}}',
    "-0",
    "-0.0",
    "1E400",
    "0.1",
]
ODD += [
    text
    for deep in (63, 64, 65, 400, 500, 505, 520, 970, 990, 3000, 100_000)
    for text in ("[" * deep + "]" * deep, '{"a":' * deep + "1" + "}" * deep)
]


FEW = ODD[::4]


def texts() -> Iterator[str]:
    """Canonical texts of commands, as a log may have them: each field of each command odd, missing, or one too many."""
    yield '["sessions.open"]'
    for command, fields in GOOD.items():
        yield canonical([command, fields])
    for name in NAMES:
        for command, field in (
            ("members.join", "name"),
            ("agents.spawn", "agent"),
            ("tasks.submit", "task"),
            ("memory.change", "record"),
        ):
            yield canonical(
                [command, {**GOOD[command], field: name, **({"op": f"op {name}"} if "op" in GOOD[command] else {})}]
            )
    for command, fields in GOOD.items():
        yield canonical([command])
        yield canonical([command, fields, 1])
        yield canonical([command, {**fields, "further": 1}])
        for field in fields:
            yield canonical([command, {key: value for key, value in fields.items() if key != field}])
            before, after = canonical([command, {**fields, field: "\0"}]).split('"\\u0000"')
            for odd in FEW:
                yield before + odd + after
        for odd in FEW:
            yield f'["{command}",{odd}]'
    yield from transactions()


def transactions() -> Iterator[str]:
    """In the session that entry 1 opens."""
    yield '["sessions.open",1]'
    for number, odd in enumerate(ODD):
        seq = 4 * number + 1
        yield f"[{odd}]"
        yield f'["kv.tx",{odd}]'
        yield f'["kv.tx",1,1,{odd}]'
        yield f'["kv.tx",{odd},1,[["w","k",1]]]'
        yield f'["kv.tx",1,{odd},[["w","k",1]]]'
        yield f'["kv.tx",1,{seq},[["w","k{number}",{odd}],["r","k"]]]'
        yield f'["kv.tx",1,{seq + 1},[["append","list",{odd}]]]'
        yield f'["kv.tx",1,{seq + 2},[["cas","k{number}",{odd},{odd}]]]'
        yield f'["kv.tx",1,{seq + 3},[["w",{odd},1]]]'
        yield f'["kv.tx",1,{seq + 3},[[{odd},"k",1]]]'
        yield f'["config",{odd}]'
        yield f'["config",{{"n1":{odd}}}]'
        yield f'["noop",{odd}]'
        yield f'["unheard.of",{odd}]'


class World:
    """The replicated applications alone, reported what is committed."""

    def __init__(self) -> None:
        peers = {"n1": ["127.0.0.1", 1]}
        data = {"node": "n1", "cluster": "c", "peers": peers, "membership": {}, "agents": {}, "memory": {}}
        config = NodeConfig.from_json(data)
        self.out = Outbox()
        self.application = Application(config, self.out, Applications(config))

    def apply(self, index: int, text: str) -> Any:
        """The result, or why the text is no command at all."""
        try:
            entry = parse_entry(index, 1, text)
        except ValueError:
            entry = parse_entry(index, 1, '["noop"]')
        self.application.signals[Committed](0, Committed((entry,)))
        results = [signal.results for signal in self.out.signals if isinstance(signal, Applied)]
        self.out.signals.clear()
        self.out.take()
        return results[0][0]

    def snapshot(self) -> str:
        self.application.signals[SnapshotDue](0, SnapshotDue(1))
        (taken,) = [signal for signal in self.out.signals if isinstance(signal, SnapshotTaken)]
        self.out.signals.clear()
        return taken.text.data


def main() -> None:
    assert {name for name in GOOD if name.startswith("agents.")} == set(FIELDS)
    world, index = World(), 0
    for index, text in enumerate(texts(), 1):
        result = world.apply(index, text)
        # The words of a refusal may show a value as the interpreter does. They are in no state.
        result = {key: value for key, value in (result or {}).items() if key != "message"}
        print(json.dumps([index, text[:60], result])[:400])
    again = World()
    again.application.signals[Restore](0, Restore(index, world.snapshot()))
    print(
        json.dumps(
            {
                "failed": world.application.failed,
                "digest": world.application.digest(),
                "again": again.application.digest(),
            }
        )
    )


if __name__ == "__main__":
    main()

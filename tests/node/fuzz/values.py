"""Values at and past every bound, and what nodes and clients send each other made of them.

Fields come from the code: the classes of messages, and the tables by which requests and commands are judged. So a field that is new is fuzzed without being listed here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from hypothesis import strategies as st

from tests.node.core.hostile import GOOD
from tribulation.node.bounded import ID_CHARACTERS, INTEGER_LIMIT, STRICT, WIDE
from tribulation.node.core.application import members, memory, placement_fields
from tribulation.node.core.clients.request import ADMINS, LEVELS
from tribulation.node.core.detector.heartbeat import BEAT
from tribulation.node.core.detector.swim import ACK, ASK, NACK, PING
from tribulation.node.core.discovery.discovery import ANSWER, BEACON
from tribulation.node.core.interface.cluster_messages import CLUSTER_MESSAGES
from tribulation.node.core.interface.datagrams import Note
from tribulation.node.core.interface.messages import MESSAGES, Forward, ForwardReply
from tribulation.node.core.memory.records import schema
from tribulation.node.core.memory.request import LEVELS as MEMORY_LEVELS
from tribulation.node.core.memory.request import OPERATIONS
from tribulation.node.core.records.task_fields import _COMMANDS, STATES

Value = Any
NAMES = ("n1", "n2", "n3", "a", "t", "f", "k", "code", "generic", "echo", "hybrid", "ACTIVE", "fact", "episode", "")
"""What a field may refer to: so that more than the first check is reached."""


def around(*bounds: int) -> list[int]:
    return [bound + step for bound in bounds for step in (-1, 0, 1)]


INTEGERS = st.one_of(
    st.sampled_from(around(0, 1, 64, 1 << 31, 1 << 53, 1 << 62, INTEGER_LIMIT - 2, 1 - INTEGER_LIMIT)),
    st.integers(-9, 99),
)
FLOATS = st.sampled_from([0.0, -0.0, 0.5, 1.0, 1e308, 5e-324, -1.5, 2.0**53, 2.0**63])
TEXTS = st.one_of(
    st.sampled_from(NAMES),
    st.text(max_size=8),
    st.sampled_from(around(ID_CHARACTERS, 128, 255, 4096)).map("é".__mul__),
    st.sampled_from(
        ["\x00", "\x7f", "\u2028", "\u2066", "\U0001fae8", "a/b", "n\n1", "0.0.0.0", "::1", "127.0.0.1", "AAAA", "="]
    ),
)
SCALARS = st.one_of(st.none(), st.booleans(), INTEGERS, FLOATS, TEXTS)


def nested(depth: int, inside: Value, in_list: bool) -> Value:
    for _ in range(depth):
        inside = [inside] if in_list else {"a": inside}
    return inside


def deep(bounds: Iterable[int]) -> st.SearchStrategy[Value]:
    return st.builds(nested, st.sampled_from(list(bounds)), SCALARS, st.booleans())


PLAIN = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=12
)
VALUES = st.one_of(SCALARS, PLAIN, deep([30, STRICT.depth - 8]))
"""What a client's frame may bring: within `STRICT`, where the value is not in the deepest place."""
WIDE_VALUES = st.one_of(
    VALUES, deep([STRICT.depth + 1, 300, WIDE.depth - 20]), st.sampled_from([10**19, 10**400, -(10**4000)])
)
"""What another node may bring, too."""


def spoilt(
    good: st.SearchStrategy[dict[str, Value]], names: Iterable[str], value: st.SearchStrategy[Value]
) -> st.SearchStrategy[dict[str, Value]]:
    """Good objects of which none, one or two fields are replaced, or left out: so that what is behind the first check is reached, too."""

    def spoil(body: dict[str, Value], changes: list[tuple[str, Value, bool]]) -> dict[str, Value]:
        body = {**body, **{name: odd for name, odd, _ in changes}}
        return {
            name: kept
            for name, kept in body.items()
            if (name, True) not in [(other, gone) for other, _, gone in changes]
        }

    change = st.tuples(st.sampled_from([*names, "further"]), value, st.sampled_from([False, False, False, True]))
    return st.builds(
        spoil, good, st.one_of(st.just([]), st.lists(change, min_size=1, max_size=1), st.lists(change, max_size=2))
    )


COMMANDS: dict[str, tuple[str, ...]] = {
    **{name: (*needed, *optional) for name, (needed, optional) in members._FIELDS.items()},
    **{name: tuple(checks) for name, checks in placement_fields.FIELDS.items()},
    **{name: (*required, *optional) for name, (required, optional) in _COMMANDS.items()},
    **{name: tuple(names) for name, names in memory._FIELDS.items()},
}
"""Every command of an application, with its fields."""
KEYS = st.sampled_from(["k", "l", "é"])
OPS = st.lists(
    st.one_of(
        st.tuples(st.just("r"), KEYS).map(list),
        st.tuples(st.sampled_from(["w", "append"]), KEYS, VALUES).map(list),
        st.tuples(st.just("cas"), KEYS, VALUES, VALUES).map(list),
    ),
    min_size=1,
    max_size=4,
)
PAYLOADS = st.dictionaries(
    st.sampled_from(["ms", "timeout_s", "reads", "value", "data", "rounds", "set", "add", "times"]), VALUES, max_size=3
)
RECORDS = st.sampled_from(sorted(schema.FIELDS)).flatmap(
    lambda kind: st.fixed_dictionaries(
        {
            "kind": st.just(kind),
            "record": st.sampled_from(["f", "r2", "é"]),
            "fields": spoilt(
                st.dictionaries(
                    st.sampled_from(sorted(schema.FIELDS[kind])),
                    st.sampled_from(["x", 1, 0.5, ["e"]]),
                    min_size=1,
                    max_size=3,
                ),
                schema.FIELDS[kind],
                VALUES,
            ),
        }
    )
)


def fields_of(name: str, value: st.SearchStrategy[Value]) -> st.SearchStrategy[dict[str, Value]]:
    good: st.SearchStrategy[dict[str, Value]] = st.just(GOOD[name])
    if name == "tasks.submit":
        good = st.builds(
            lambda task, payload: {**GOOD[name], "task": task, "payload": payload},
            st.sampled_from(["t", "u"]),
            PAYLOADS,
        )
    elif name.startswith("memory."):
        good = st.builds(lambda record, op: {key: {**record, "op": op}[key] for key in COMMANDS[name]}, RECORDS, TEXTS)
    return spoilt(good, COMMANDS[name], value)


def command(value: st.SearchStrategy[Value]) -> st.SearchStrategy[list[Value]]:
    transaction = st.tuples(st.just("kv.tx"), st.just(1) | value, st.integers(1, 3) | value, OPS | value).map(list)
    return st.one_of(
        st.sampled_from(sorted(COMMANDS)).flatmap(lambda name: fields_of(name, value).map(lambda body: [name, body])),
        transaction,
        st.just(["sessions.open"]),
        st.lists(value, max_size=4),
    )


_QUESTIONS = ("name", "agent", "keys", "task", "state", "effects", "limit", "kind", "record")
_BODIES = st.one_of(
    st.sampled_from(sorted(COMMANDS)).flatmap(
        lambda name: st.fixed_dictionaries(
            {"do": st.just(name), "with": fields_of(name, VALUES)}, optional={"await": st.booleans()}
        )
    ),
    st.sampled_from(ADMINS).map(lambda name: {"admin": name, "to": "n1", "voters": {"n1": 1}, "marker": "m"}),
    st.fixed_dictionaries({"ops": OPS, "session": st.integers(1, 9), "seq": st.integers(1, 3)}),
    st.fixed_dictionaries({"ops": st.lists(st.tuples(st.just("r"), KEYS).map(list), min_size=1, max_size=3)}),
    st.fixed_dictionaries(
        {
            "view": st.sampled_from(["members", "agents", "tasks", "memory"]),
            "with": spoilt(
                st.sampled_from([{}, {"state": STATES[0]}, {"effects": 0}, {"agent": "a", "keys": ["k"]}]),
                _QUESTIONS,
                VALUES,
            ),
        }
    ),
    st.builds(lambda operation, record: {"memory": operation, **record}, st.sampled_from(OPERATIONS), RECORDS),
    st.just({"open": True}),
)
_FIELDS_OF_REQUESTS = (
    "id",
    "deadline_ms",
    "level",
    "session",
    "seq",
    "seen",
    "do",
    "with",
    "view",
    "memory",
    "admin",
    "ops",
    "open",
    "await",
)
_FIELDS_OF_REQUESTS += ("kind", "record", "fields", "from", "to", "voters", "marker")
_IDS = st.one_of(INTEGERS, TEXTS, st.sampled_from(around(ID_CHARACTERS)).map("i".__mul__))
_LEVELS = st.sampled_from(sorted({*LEVELS, *MEMORY_LEVELS}))
REQUESTS = spoilt(
    st.builds(
        lambda id_, more, body: {"id": id_, **more, **body},
        st.integers(0, 9) | _IDS,
        st.fixed_dictionaries(
            {},
            optional={
                "level": _LEVELS,
                "deadline_ms": st.sampled_from(around(1, 1000, 60_000)),
                "seen": st.integers(0, 5),
            },
        ),
        _BODIES,
    ),
    _FIELDS_OF_REQUESTS,
    VALUES,
)

_WORKS = st.one_of(
    st.fixed_dictionaries({"command": command(WIDE_VALUES)}),
    spoilt(
        st.builds(
            lambda record, dot: {"record": [record["kind"], record["record"], {"c": {dot[0]: dot[1]}}], "dot": dot},
            RECORDS,
            st.tuples(TEXTS, INTEGERS).map(list),
        ),
        ("command", "transfer", "voters", "changes", "gone", "record", "dot", "state", "rtt_ns", "bandwidth_bps"),
        WIDE_VALUES,
    ),
    st.dictionaries(TEXTS, WIDE_VALUES, max_size=3),
)
_OF_TYPE = {"int": st.integers(0, 3) | INTEGERS.map(abs), "bool": st.booleans(), "str": TEXTS, "Json": _WORKS}


def _message(kind: type[Any]) -> st.SearchStrategy[Any]:
    return st.builds(kind, **{item.name: _OF_TYPE[str(item.type)] for item in fields(kind)})


MESSAGES_OF_MEMBERS = st.sampled_from([Forward, ForwardReply, *CLUSTER_MESSAGES]).flatmap(_message)
"""Of every machine but Raft, whose messages are believed: a sender of those can do what a leader does."""
WIRES = st.one_of(
    st.lists(WIDE_VALUES, max_size=6),
    st.sampled_from(MESSAGES).flatmap(
        lambda kind: st.lists(WIDE_VALUES, min_size=len(fields(kind)), max_size=len(fields(kind))).map(
            lambda row: [kind.TAG, *row]
        )
    ),
)
"""Messages as lists, most of them of the wrong types."""

_PORTS = st.sampled_from([0, 1, 9999, 65535, 65536])
_HOSTS = st.sampled_from(["127.0.0.1", "", "0.0.0.0", "h", "::1"]) | TEXTS
_PLACE = st.tuples(_HOSTS, _PORTS, _PORTS, st.just("hybrid") | TEXTS).map(list)
_ROWS = st.tuples(TEXTS, _HOSTS, _PORTS, _PORTS, st.just("hybrid"), INTEGERS, INTEGERS).map(list)
_MARKS = st.lists(st.integers(0, 0xFFFFFF) | INTEGERS, max_size=4)
_BEACONS = spoilt(
    st.fixed_dictionaries({"at": _PLACE, "have": _MARKS, "others": st.lists(_ROWS, max_size=3)}),
    ("at", "have", "others"),
    VALUES,
)
_NUMBERS = st.sampled_from(around(0, 1_000_000, 2_000_000)) | INTEGERS
_RUMOUR = st.tuples(st.sampled_from(["alive", "suspect", "failed"]), st.sampled_from(NAMES[:3]), _NUMBERS, TEXTS).map(
    list
)
_RUMOURS = st.lists(_RUMOUR, max_size=4) | st.lists(st.lists(SCALARS, max_size=5), max_size=4)
_DETECTOR = st.tuples(_NUMBERS, INTEGERS, _RUMOURS).map(list) | st.tuples(_NUMBERS, INTEGERS, TEXTS, _RUMOURS).map(list)


def notes() -> st.SearchStrategy[Note]:
    def note(tag: str, body: st.SearchStrategy[Value]) -> st.SearchStrategy[Note]:
        return st.builds(
            Note, st.sampled_from(NAMES[:3]) | TEXTS, st.integers(0, 2) | INTEGERS.map(abs), st.just(tag), body
        )

    return st.one_of(
        *(note(tag, _BEACONS) for tag in (BEACON, ANSWER)),
        *(note(tag, _DETECTOR) for tag in (PING, ACK, ASK, NACK)),
        note(BEAT, st.none()),
        st.builds(Note, TEXTS, INTEGERS.map(abs), TEXTS, VALUES),
    )


def fits(note: Note) -> bool:
    return len(json.dumps([note.sender, note.incarnation, note.tag, note.body])) < 1300

"""Messages on the wire, and the configuration: what goes through, what is refused, and how."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tribulation.node.config.node import TIMINGS, NodeConfig
from tribulation.node.core.interface.entry import make_entry
from tribulation.node.core.interface.messages import (
    MESSAGES,
    AppendEntries,
    InstallSnapshot,
    Message,
    TimeoutNow,
    from_wire,
    to_wire,
)
from tribulation.node.core.raft.replication import BATCH_CHARACTERS
from tribulation.node.core.raft.snapshotting import PIECE_CHARACTERS
from tribulation.node.errors import ConfigError

NUMBER = st.integers(0, 2**63 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
ENTRIES = st.builds(
    lambda first, values: tuple(make_entry(first + i, 3, ["kv.tx", v]) for i, v in enumerate(values)),
    NUMBER,
    st.lists(JSON, max_size=3),
)
FIELDS: dict[str, Any] = {
    "int": NUMBER,
    "bool": st.booleans(),
    "str": st.text(),
    "Json": st.dictionaries(st.text(), JSON, max_size=3),
    "Entries": ENTRIES,
}
MESSAGE = st.one_of(
    [
        st.builds(kind, **{name: FIELDS[str(f.type)] for name, f in kind.__dataclass_fields__.items() if name != "TAG"})
        for kind in MESSAGES
    ]
)


@settings(max_examples=150, deadline=None)
@given(MESSAGE)
def test_a_message_survives_the_wire(message: Message) -> None:
    assert from_wire(json.loads(json.dumps(to_wire(message)))) == message


@settings(max_examples=150, deadline=None)
@given(MESSAGE, st.data())
def test_a_damaged_message_is_a_value_error_or_another_message(message: Message, data: st.DataObject) -> None:
    wire = to_wire(message)
    wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(JSON)
    try:
        assert to_wire(from_wire(wire)) == wire
    except ValueError as error:
        assert len(str(error)) < 500


@pytest.mark.parametrize(
    ("wire", "words"),
    [
        ([], "begins with its tag"),
        ({"a": 1}, "begins with its tag, not {'a': 1}"),
        (["raft.nope", 1], "unknown message tag 'raft.nope'"),
        (["raft.timeout-now"], "has 1 fields, not 0"),
        (["raft.timeout-now", -1], "field term of raft.timeout-now is -1"),
        (["raft.timeout-now", True], "is True: not a non-negative integer"),
        (["raft.append", 1, 0, 0, [[1, 1, "{}"]], 0], "not a list that begins with a name"),
        (["raft.append", 1, 0, 0, [[1, 1, '["a"]'], [3, 1, '["a"]']], 0], "entry 3 does not follow"),
    ],
)
def test_refusals_show_the_value(wire: Any, words: str) -> None:
    with pytest.raises(ValueError, match=r"(?s).*") as raised:
        from_wire(wire)
    assert words in str(raised.value)


def test_the_largest_messages_fit_a_frame() -> None:
    """Quotes double when JSON is put in JSON, and an entry may exceed the batch by itself once."""
    entry = make_entry(1, 1, ["kv.tx", 1, 1, [["w", "k", '"' * (64 * 1024)]]])
    batch = AppendEntries(1, 0, 0, (entry,) * (BATCH_CHARACTERS // len(entry.text)), 0)
    assert len(json.dumps(to_wire(batch))) < 1 << 20
    assert len(json.dumps(to_wire(InstallSnapshot(1, 1, 1, 0, 1, '\\"' * (PIECE_CHARACTERS // 2))))) < 1 << 20
    assert to_wire(TimeoutNow(3)) == ["raft.timeout-now", 3]


PEERS = {"n1": ["127.0.0.1", 1], "n2": ["127.0.0.1", 2]}
GOOD = {"node": "n1", "cluster": "c", "peers": PEERS}


def test_defaults_and_the_way_back() -> None:
    config = NodeConfig.from_json({**GOOD, "preferred": "n2", "timing": "fast"})
    assert config.voters == {"n1": 1, "n2": 2} and config.timing == TIMINGS["fast"] and not config.lease_reads
    assert NodeConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"nodes": 3}, "unknown field 'nodes'"),
        ({"node": "n9"}, "peers: 'n9', this node, is missing"),
        ({"node": ""}, "node: '' is not a name"),
        ({"peers": {"n1": "127.0.0.1:1"}}, "peers.n1: '127.0.0.1:1' is not an address"),
        ({"voters": {"n1": 0}}, "no node would vote"),
        ({"voters": {"n3": 1}}, "'n3' is not a configured node"),
        ({"voters": {"n1": 10}}, "the weight of n1 is 10"),
        ({"timing": "slow"}, "timing: 'slow' is not known"),
        ({"timing": {"heartbeat_ns": 5, "election_min_ns": 6, "election_max_ns": 7}}, "is not 2 \\* heartbeat"),
        ({"lease_reads": 1}, "lease_reads: 1 is not true or false"),
        ({"max_batch": 0}, "max_batch: 0 is not an integer 1"),
        ({"flaws": "x"}, "flaws: 'x' is not a list"),
        ({"flaws": ["x"]}, "there is no flaw 'x'"),
        ({"preferred": "n7"}, "preferred: 'n7' is not one of the peers"),
    ],
)
def test_a_bad_configuration_is_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as raised:
        NodeConfig.from_json({**GOOD, **change})
    assert "\nhint: " in str(raised.value)

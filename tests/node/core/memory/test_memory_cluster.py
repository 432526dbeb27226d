"""Agent memory on whole nodes under virtual time: partitions, lost and repeated messages, power cuts, wiped disks; afterwards all are alike and nothing acknowledged is missing."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from tests.full import full
from tribulation.node.config.node import MS
from tribulation.node.core.interface.cluster_messages import MemoryPush, MemoryState
from tribulation.node.core.memory.records.schema import LIMITS

from ..cluster import Cluster
from ..disk import Disk

SECOND = 1000 * MS
NAMES = ("n1", "n2", "n3")


def memory(
    seed: int = 1, nodes: int = 3, *, flaws: tuple[str, ...] = (), net: dict[str, Any] | None = None, **options: Any
) -> Cluster:
    options = {"sync_ns": 500 * MS, "delta_every": 5, **options}
    cluster = Cluster(seed, nodes, memory=options, flaws=list(flaws), **(net or {})).start()
    cluster.wait_leader()
    return cluster


def change(cluster: Cluster, node: str, record: str, level: str = "eventual", **fields: Any) -> dict[str, Any]:
    kind = "fact" if {"times_used", "concept", "sources"} & set(fields) else "episode"
    return cluster.call(node, {"memory": "change", "kind": kind, "record": record, "fields": fields, "level": level})


def get(cluster: Cluster, node: str, record: str, kind: str = "episode", level: str = "eventual") -> Any:
    answer = cluster.call(node, {"memory": "get", "kind": kind, "record": record, "level": level})
    assert answer["status"] == "ok", answer
    return answer["record"]


def digests(cluster: Cluster) -> dict[str, str]:
    return {name: cluster.call(name, {"memory": "digest"})["digest"] for name in cluster.nodes}


def traced(cluster: Cluster, event: str, node: str | None = None) -> list[dict[str, Any]]:
    return [fields for _, name, _, found, fields in cluster.traces if found == event and node in (None, name)]


def converge(cluster: Cluster, limit_ns: int = 60 * SECOND) -> None:
    end = cluster.now + limit_ns
    while len(set(digests(cluster).values())) > 1:
        assert cluster.now < end, (cluster.seed, digests(cluster))
        cluster.run(250 * MS)


def test_what_one_node_learns_all_have_after_a_sync() -> None:
    cluster = memory()
    answer = change(cluster, "n1", "e1", goal="find it", agents=["a1"], quality=0.5)
    assert answer["status"] == "ok" and answer["dot"][1] == 1
    assert get(cluster, "n1", "e1")["fields"] == {"goal": "find it", "quality": 0.5, "agents": ["a1"]}
    assert get(cluster, "n2", "e1") is None
    converge(cluster)
    assert get(cluster, "n3", "e1") == get(cluster, "n1", "e1")


def test_two_sides_change_one_record_and_both_changes_stay() -> None:
    cluster = memory()
    change(cluster, "n1", "f1", concept="fire", times_used=1)
    converge(cluster)
    cluster.partition(["n1"], ["n2", "n3"])
    change(cluster, "n1", "f1", concept="heat", times_used=2, sources=["left"])
    change(cluster, "n2", "f1", concept="light", times_used=4, sources=["right"])
    cluster.run(3 * SECOND)
    assert len(set(digests(cluster).values())) > 1
    cluster.heal()
    converge(cluster)
    shown = get(cluster, "n3", "f1", "fact")
    assert shown["fields"]["times_used"] == 7 and shown["fields"]["sources"] == ["left", "right"]
    assert sorted(shown["conflicts"]["concept"]) == ["heat", "light"]
    assert traced(cluster, "memory-conflict")
    change(cluster, "n2", "f1", concept="flame")
    converge(cluster)
    assert get(cluster, "n1", "f1", "fact")["conflicts"] == {}, "one was chosen by writing it"


def test_a_change_at_level_quorum_is_on_most_disks_when_it_is_acknowledged() -> None:
    cluster = memory(sync="on_demand")
    assert change(cluster, "n1", "e1", "quorum", goal="g")["status"] == "ok"
    having = [name for name in NAMES if get(cluster, name, "e1") is not None]
    assert len(having) >= 2
    for name in NAMES:
        assert get(cluster, name, "e1", level="quorum")["fields"] == {"goal": "g"}
    cluster.partition(["n1"], ["n2", "n3"])
    cluster.run(2 * SECOND)
    assert change(cluster, "n1", "e2", "quorum", goal="g")["error"] == "no-quorum"
    assert change(cluster, "n1", "e2", goal="g")["status"] == "ok", "what is eventual goes on"


def test_what_one_node_alone_would_answer_is_not_called_a_quorums() -> None:
    cluster = memory(sync="on_demand")
    for body in ({"memory": "list", "kind": "fact"}, {"memory": "digest"}, {"memory": "sync"}):
        answer = cluster.call("n1", {**body, "level": "quorum"})
        assert answer["error"] == "bad-request" and "answered by this node alone" in answer["message"]


def test_garbage_is_no_answer_to_a_read_at_level_quorum() -> None:
    """A node that sends what is no state has not said what it holds."""
    cluster = memory(sync="on_demand")
    change(cluster, "n1", "e1", "quorum", goal="g")
    transmit = cluster.transmit

    def spoil(sender: str, receiver: str, message: Any) -> None:
        if isinstance(message, MemoryState):
            message = MemoryState(message.number, {"state": {"c": {}}})
        transmit(sender, receiver, message)

    cluster.transmit = spoil  # type: ignore[method-assign]
    body = {"memory": "get", "kind": "episode", "record": "e1", "level": "quorum", "deadline_ms": 1500}
    assert cluster.call("n1", body)["error"] == "timeout"
    assert traced(cluster, "memory-garbage", "n1")


def test_a_linearizable_change_goes_through_the_log_and_meets_the_others_there() -> None:
    cluster = memory(sync="on_demand")
    assert change(cluster, "n1", "f1", "linearizable", times_used=1)["status"] == "ok"
    change(cluster, "n2", "f1", times_used=10)
    assert change(cluster, "n3", "f1", "linearizable", times_used=100)["status"] == "ok"
    assert get(cluster, "n2", "f1", "fact", "linearizable")["fields"] == {"times_used": 111}
    assert get(cluster, "n1", "f1", "fact", "linearizable")["fields"] == {"times_used": 101}


def test_a_tombstone_goes_when_every_member_has_seen_it_and_not_before() -> None:
    cluster = memory()
    change(cluster, "n1", "e1", goal="g")
    converge(cluster)
    cluster.partition(["n3"], ["n1", "n2"])
    assert cluster.call("n1", {"memory": "delete", "kind": "episode", "record": "e1"})["status"] == "ok"
    cluster.run(10 * SECOND)
    assert not traced(cluster, "memory-collected")
    cluster.heal()
    converge(cluster)
    cluster.run(10 * SECOND)
    assert {name for _, name, _, event, _ in cluster.traces if event == "memory-collected"} == set(NAMES)
    assert all(get(cluster, name, "e1") is None for name in NAMES)
    change(cluster, "n2", "e1", goal="again")
    converge(cluster)
    assert get(cluster, "n3", "e1")["fields"] == {"goal": "again"}


def test_tombstone_collected_early_brings_the_deleted_back() -> None:
    cluster = memory(flaws=("tombstone-collected-early",))
    change(cluster, "n1", "e1", goal="g")
    converge(cluster)
    cluster.partition(["n3"], ["n1", "n2"])
    cluster.call("n1", {"memory": "delete", "kind": "episode", "record": "e1"})
    cluster.run(5 * SECOND)
    change(cluster, "n3", "e1", outcome="o")
    cluster.heal()
    cluster.run(10 * SECOND)
    assert any(get(cluster, name, "e1") is not None and "goal" in get(cluster, name, "e1")["fields"] for name in NAMES)


def restart(cluster: Cluster, name: str, power: bool = False, torn: bool = False, wiped: bool = False) -> None:
    node = cluster.nodes[name]
    node.stop(power, torn)
    if wiped:
        node.disk = Disk()
    node.start()


@pytest.mark.parametrize("flaw", [None, "crdt-id-reuse"])
def test_a_wiped_node_begins_a_new_replica(flaw: str | None) -> None:
    """Under its old name it would count from the start, and the others would take what is new for what they have."""
    cluster = memory(sync="on_demand", flaws=(flaw,) if flaw else ())
    change(cluster, "n3", "e1", goal="before")
    cluster.call("n1", {"memory": "sync", "from": "n3"})
    cluster.run(SECOND)
    restart(cluster, "n3", wiped=True)
    change(cluster, "n3", "e2", goal="after")
    cluster.call("n1", {"memory": "sync", "from": "n3"})
    cluster.run(SECOND)
    assert (get(cluster, "n1", "e2") is None) == bool(flaw)


def test_a_sync_in_many_chunks_goes_on_where_it_was_cut() -> None:
    cluster = memory(sync="on_demand", chunk_bytes=1024)
    for number in range(30):
        change(cluster, "n1", f"e{number}", goal="g" * 200)
    cluster.call("n2", {"memory": "sync", "from": "n1"})
    cluster.run(8 * MS)
    for _ in range(20):
        cluster.partition(["n1"], ["n2", "n3"])
        cluster.run(20 * MS)
        cluster.heal()
        cluster.run(6 * MS)
    cluster.run(10 * SECOND)
    (line,) = [line for line in traced(cluster, "memory-synced", "n2") if line["peer"] == "n1" and line["records"]]
    assert line["records"] == 30, "each crossed once: no chunk was taken twice, and none from the start again"
    assert len(cluster.call("n2", {"memory": "list", "kind": "episode"})["records"]) == 30


@pytest.mark.parametrize("seed", [0, 1, 2, 3, *full(*range(4, 12))])
def test_nothing_acknowledged_is_lost_in_storms(seed: int) -> None:
    """Changes everywhere, at every level, in partitions, with loss and power cuts."""
    net = {"loss": 0.05, "duplicate": 0.05, "checking": 7}
    options = {"sync": ("delta_only", "continuous", "full_snapshot")[seed % 3]}
    cluster = memory(seed, net=net, **options)
    random = Random(f"storm {seed}")
    facts: dict[str, list[tuple[str, int]]] = {"ok": [], "info": [], "fail": []}
    number = 0

    def one() -> None:
        nonlocal number
        number += 1
        name, element = random.choice(NAMES), f"u{number}"
        if cluster.nodes[name].core is None:
            return
        level = random.choice(("eventual", "eventual", "quorum", "linearizable"))
        fields = {"sources": [element], "times_used": 1}
        body = {"memory": "change", "kind": "fact", "record": f"f{number % 4}", "fields": fields, "level": level}
        cluster.request(name, f"c{number}", {"id": 1, "deadline_ms": 2000, **body}, _keep(facts, element, number))

    for _ in range(25):
        for _ in range(8):
            one()
            cluster.run(random.randint(5, 40) * MS)
        what = random.random()
        victim = random.choice(NAMES)
        if what < 0.25:
            cluster.partition([victim], [name for name in NAMES if name != victim])
        elif what < 0.5:
            cluster.heal()
        elif what < 0.7:
            restart(cluster, victim, power=random.random() < 0.7, torn=random.random() < 0.5)
    cluster.heal()
    cluster.run(5 * SECOND)
    assert all(node.core is not None for node in cluster.nodes.values()), [n.halted for n in cluster.nodes.values()]
    converge(cluster)
    assert not cluster.violations, cluster.violations
    assert len(facts["ok"]) > 50
    refused = {element for element, _ in facts["fail"]}
    for record in range(4):
        shown = get(cluster, random.choice(NAMES), f"f{record}", "fact")
        have = set(shown["fields"].get("sources", []))
        missing = {element for element, n in facts["ok"] if n % 4 == record} - have
        assert not missing, (seed, missing)
        assert not have & refused, (seed, have & refused)
        assert shown["fields"]["times_used"] == len(have), "a count and a set of one change stand and fall together"


def _keep(document: dict[str, list[tuple[str, int]]], element: str, number: int) -> Callable[[dict[str, Any]], None]:
    return lambda answer: document[answer["status"]].append((element, number))


def test_at_the_limit_an_insert_is_refused_and_everything_else_goes_on() -> None:
    cluster = memory(sync="on_demand")
    for number in range(LIMITS["profile"]):
        body = {"memory": "change", "kind": "profile", "record": f"a{number}/text", "fields": {"attempts": 1}}
        assert cluster.call("n1", body)["status"] == "ok"
    one_more = {"memory": "change", "kind": "profile", "record": "new/text", "fields": {"attempts": 1}}
    assert cluster.call("n1", one_more)["error"] == "memory-full"
    assert cluster.call("n1", {**one_more, "record": "a0/text"})["status"] == "ok", "it is there already"
    assert cluster.call("n1", {"memory": "delete", "kind": "profile", "record": "a1/text"})["status"] == "ok"
    assert cluster.call("n1", one_more)["status"] == "ok"


def test_what_a_peer_acknowledged_is_taken_beyond_the_limit() -> None:
    cluster = memory(sync="on_demand")
    cluster.partition(["n1"], ["n2"], ["n3"])
    for name in ("n1", "n2"):
        for number in range(LIMITS["profile"] - 5):
            body = {"memory": "change", "kind": "profile", "record": f"{name}.{number}/t", "fields": {"attempts": 1}}
            assert cluster.call(name, body)["status"] == "ok"
    cluster.heal()
    cluster.call("n1", {"memory": "sync", "from": "n2"})
    cluster.run(SECOND)
    assert len(cluster.call("n1", {"memory": "list", "kind": "profile"})["records"]) == 50


def test_a_declared_retention_takes_the_record_changed_longest_ago_and_says_so() -> None:
    cluster = memory(sync="on_demand", retention="oldest")
    for number in [*range(LIMITS["profile"]), 0, 99]:
        body = {"memory": "change", "kind": "profile", "record": f"a{number}/t", "fields": {"attempts": 1}}
        assert cluster.call("n1", body)["status"] == "ok"
    assert [line["record"] for line in traced(cluster, "memory-evicted")] == ["a1/t"], "a0 was changed again since"


def test_continuous_sync_sends_each_change_at_once() -> None:
    cluster = memory(sync="continuous", sync_ns=3600 * SECOND)
    cluster.run(2 * SECOND)
    change(cluster, "n1", "e1", goal="g")
    cluster.run(50 * MS)
    assert [get(cluster, name, "e1") is not None for name in NAMES] == [True, True, True]


@pytest.mark.parametrize(("bits", "used"), [(64_000, 0.9), (512_000, 0.5)])
def test_a_bandwidth_cap_is_kept_within_a_tenth(bits: int, used: float) -> None:
    """`used`: how much of it at least; where a chunk is on its way for as long as it takes to be sent, that is less."""
    cluster = memory(sync="on_demand", bandwidth_bps=bits)
    cluster.partition(["n1"], ["n2", "n3"])
    for number in range(120):
        change(cluster, "n1", f"e{number}", goal="g" * 300, agents=[f"a{number}"])
    cluster.cuts = set()
    before = cluster.call("n1", {"admin": "status"})["memory_synced_bytes"]
    cluster.call("n2", {"memory": "sync", "from": "n1"})

    def done() -> list[dict[str, Any]]:
        return [line for line in traced(cluster, "memory-synced", "n2") if line["records"] == 120]

    line = cluster.run_until(done, 120 * SECOND, "the sync")[0]
    sent = cluster.call("n1", {"admin": "status"})["memory_synced_bytes"] - before
    assert used <= 8 * sent * SECOND / line["took_ns"] / bits <= 1.1, (sent, line)


def test_latest_wins_is_alike_everywhere_too_and_loses_what_was_acknowledged() -> None:
    cluster = memory(conflicts="latest-wins")
    change(cluster, "n1", "f1", concept="fire", times_used=1)
    converge(cluster)
    cluster.partition(["n1"], ["n2", "n3"])
    change(cluster, "n1", "f1", sources=["left"])
    cluster.run(10 * MS)
    change(cluster, "n2", "f1", sources=["right"])
    cluster.heal()
    converge(cluster)
    assert get(cluster, "n1", "f1", "fact")["fields"]["sources"] == ["right"]
    refused = change(cluster, "n1", "f1", "linearizable", concept="x")
    assert refused["error"] == "bad-request" and "latest-wins" in refused["message"]


def test_a_late_answer_to_an_earlier_life_counts_for_nothing() -> None:
    """Each life numbers its requests from a drawn number: a peer's word that something is durable is about one of them."""
    cluster = memory(sync="on_demand")
    sent: list[int] = []
    transmit = cluster.transmit

    def watch(sender: str, receiver: str, message: Any) -> None:
        if sender == "n1" and isinstance(message, MemoryPush):
            sent.append(message.number)
        transmit(sender, receiver, message)

    cluster.transmit = watch  # type: ignore[method-assign]
    change(cluster, "n1", "e1", "quorum", goal="g")
    first = set(sent)
    restart(cluster, "n1")
    cluster.wait_leader()
    cluster.run(SECOND)
    change(cluster, "n1", "e2", "quorum", goal="g")
    assert first and not first & (set(sent) - first) and len(set(sent)) > len(first)

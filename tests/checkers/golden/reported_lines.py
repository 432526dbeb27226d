"""Random traces for the checkers that read trace lines of a workload: replicas, tasks, resources behind fences, suspicions, views of membership."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from tribulation.checkers import Fault, RunRecord
from tribulation.histories import Event, History, Type

MS = 1_000_000
NODES = ("n1", "n2", "n3")


class Pen:
    """Writes lines at random nodes, 1 to 40 ms apart; now and then a node boots, or a line is lost."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.at_ms = 0
        self.lines: dict[str, list[dict[str, Any]]] = {}
        self.places = {node: [1, 0] for node in NODES}
        self.events: list[Event] = []
        self.gaps = random.random() < 0.15

    def line(self, node: str, event: str, **fields: Any) -> None:
        self.at_ms += self.random.randint(1, 40)
        place = self.places[node]
        if self.random.random() < 0.03:
            place[:] = [place[0] + 1, 0]
        elif self.gaps and self.random.random() < 0.05:
            place[1] += 1
        head = {"node": node, "incarnation": place[0], "seq": place[1], "mono_ns": self.at_ms * MS, "event": event}
        self.lines.setdefault(node, []).append({**head, **fields})
        place[1] += 1

    def operation(self, f: str, value: Any, kind: Type, key: Any = None, result: Any = None) -> None:
        process = len(self.events)
        for type_, reported in ((Type.INVOKE, value), (kind, value if result is None else result)):
            self.at_ms += 1
            number = len(self.events)
            self.events.append(Event(number, self.at_ms * MS, process, type_, f, reported, key))


def _replicas(pen: Pen) -> None:
    random = pen.random
    made: list[tuple[str, dict[str, Any]]] = []
    for number in range(random.randint(2, 7)):
        update = f"u{number}"
        if made and random.random() < 0.3:
            observed = [name for name, facts in made if "element" in facts][: random.randint(1, 3)]
            facts = {"observed": observed}
        else:
            facts = {"element": random.choice("ab")}
        made.append((update, facts))
        if random.random() < 0.95:
            kind = "crdt-remove" if "observed" in facts else "crdt-add"
            pen.line(random.choice(NODES), kind, object="cart", update=update, **facts)
    held: dict[str, list[str]] = {node: [] for node in NODES}
    for _ in range(random.randint(4, 20)):
        node, roll = random.choice(NODES), random.random()
        if roll < 0.5:
            some = random.sample([name for name, _ in made], random.randint(1, len(made)))
            held[node] += some
            pen.line(node, "crdt-deliver", object="cart", updates=some)
        elif roll < 0.85:
            gone = {name for update, facts in made if update in held[node] for name in facts.get("observed", ())}
            value = {facts["element"] for name, facts in made if "element" in facts and name in set(held[node]) - gone}
            if random.random() < 0.15:
                value ^= {random.choice("ab")}
            digest = "".join(sorted(set(held[node]))) if random.random() < 0.9 else "odd"
            more: dict[str, Any] = {"clock": {"n1": len(held[node]) // 2}} if random.random() < 0.3 else {}
            pen.line(
                node,
                "crdt-state",
                object="cart",
                digest=digest,
                value=sorted(value),
                final=random.random() < 0.3,
                **more,
            )
        elif roll < 0.92:
            before, received = ({name: random.randrange(3) for name in NODES[:2]} for _ in range(2))
            after = {name: max(before[name], received[name]) for name in before}
            after["n1"] += random.random() < 0.2
            pen.line(node, "crdt-merge", object="cart", before=before, received=received, after=after)
        else:
            low = random.randrange(4)
            kind = random.choice(("crdt-delta", "crdt-full"))
            pen.line(node, kind, object="cart", **{"from": "n1"}, low=low, high=low + random.randrange(3))


def _tasks(pen: Pen) -> None:
    random = pen.random
    for task in range(random.randint(2, 9)):
        kind = random.choice((Type.OK, Type.OK, Type.OK, Type.INFO, Type.FAIL))
        pen.operation("submit", task, kind, key=random.choice((None, "a")))
        for claim in range(1, random.choice((1, 2, 3))):
            pen.line(random.choice(NODES[:2]), "task-claim", task=task, claim=claim, worker=random.choice(NODES))
    for _ in range(random.randint(1, 14)):
        task, node = random.randrange(9), random.choice(NODES[:2])
        if random.random() < 0.7:
            pen.line(node, "task-effect", task=task, claim=random.choice((None, 1, 2)), worker="n3")
        else:
            pen.line(node, random.choice(("task-ack", "task-claim")), task=task, claim=2, worker="n3")
    if random.random() < 0.2:
        pen.operation("effects", None, Type.OK, result=[random.randrange(9) for _ in range(5)])


def _fences(pen: Pen) -> None:
    random = pen.random
    token = 1
    for _ in range(random.randint(2, 14)):
        token = max(1, token + random.choice((0, 1, 1, -1)))
        resource, accepted = random.choice(("disk", "tape")), random.random() < 0.7
        pen.line(random.choice(NODES[:2]), "fence", resource=resource, token=token, accepted=accepted, holder="c1")


def _suspicions(pen: Pen) -> None:
    random = pen.random
    for _ in range(random.randint(2, 16)):
        observer, target = random.sample(NODES, 2)
        pen.line(observer, random.choice(("suspect", "trust")), target=target)


def _views(pen: Pen) -> None:
    random = pen.random
    epoch = 1
    for _ in range(random.randint(2, 14)):
        epoch = max(1, epoch + random.choice((0, 0, 1, 1, -1)))
        names = NODES if random.random() < 0.7 else random.sample(NODES, 2)
        members = {name: random.choice((1, 1, 1, 2)) for name in names} if random.random() < 0.7 else list(names)
        pen.line(random.choice(NODES), "view", epoch=epoch, members=members)


BY_NAME: dict[str, tuple[Callable[[Pen], None], str]] = {
    "replicas": (_replicas, "crdt"),
    "work": (_tasks, "tasks"),
    "fences": (_fences, "fencing-tokens"),
    "suspicions": (_suspicions, "failure-detector"),
    "views": (_views, "membership"),
}


def record(name: str, seed: int) -> RunRecord:
    random = Random(f"{name}/{seed}/golden")
    pen = Pen(random)
    BY_NAME[name][0](pen)
    if random.random() < 0.9:
        for node in NODES:
            if node not in pen.lines:
                pen.line(node, "quorum")
    end_ms = pen.at_ms + 10
    faults = []
    for number in range(random.choice((0, 0, 1, 2))):
        start_ns = random.randrange(end_ms) * MS
        heal_ns = start_ns + random.randrange(1, end_ms) * MS if random.random() < 0.7 else None
        what = {"nodes": [random.choice(NODES)]}
        kind = random.choice(("kill", "pause", "slow"))
        faults.append(Fault(f"f{number}", kind, what, what, True, start_ns, start_ns + MS, heal_ns, heal_ns))
    offsets = {node: (0, random.choice((MS // 10, 15 * MS))) for node in NODES if random.random() < 0.97}
    options = random.choice(
        (
            {},
            {"failure-detector": {"max_detection_s": 0.03, "max_mistakes_per_hour": 100}},
            {"membership": {"epoch_is_global": False}},
            {"membership": {"expels": False}},
        )
    )
    phases = {"end": end_ms * MS, "healed": end_ms * MS // 2, "quiet_end": end_ms * MS}
    if random.random() < 0.1:
        del phases["quiet_end"]
    return RunRecord(
        history=History(pen.events),
        traces=pen.lines,
        nodes=NODES,
        faults=faults,
        clock_offsets_ns=offsets,
        phases=phases,
        options=options,
    )

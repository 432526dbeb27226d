"""Random histories of real objects: what clients of a correct object would see, then perhaps one or two answers changed.

A world is a plain Python object that clients call. Each operation takes effect at a random moment between its invocation and its return; one of unknown
outcome takes effect then, or later, or never. Half of the histories are left as they happened, so they must be legal; in the others answers were
altered, and only trying all orders can say what they are (`oracle`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from tribulation.histories import Event, History, Type
from tribulation.histories.model.answers import REPEATED


@dataclass
class World:
    """`calls` draws an operation, `apply` does it and answers; both are of one object."""

    calls: Callable[[Random], tuple[str, Any]]
    apply: Callable[[str, Any], Any]
    info: float = 0.12


@dataclass
class _Call:
    f: str
    argument: Any
    result: Any = None
    done: bool = False
    lost: bool = False


def events(random: Random, world: World, operations: int, processes: int) -> list[Event]:
    """What `processes` clients saw of `world`."""
    listed: list[Event] = []
    busy: dict[int, _Call] = {}
    late: list[_Call] = []
    names = list(range(processes))
    begun = 0

    def notify(process: int, kind: Type, f: str, value: Any) -> None:
        listed.append(Event(len(listed), len(listed) * 1_000_000, process, kind, f, value))

    while begun < operations or busy:
        if late and random.random() < 0.3:
            call = late.pop(random.randrange(len(late)))
            world.apply(call.f, call.argument)
        place = random.randrange(processes)
        process = names[place]
        call = busy.get(process)
        if call is None:
            if begun == operations:
                continue
            begun += 1
            f, argument = world.calls(random)
            busy[process] = _Call(f, argument, lost=random.random() < world.info)
            notify(process, Type.INVOKE, f, argument)
        elif not call.done and not (call.lost and random.random() < 0.5):
            call.result, call.done = world.apply(call.f, call.argument), True
            if random.random() < 0.4:
                continue
        elif call.lost:
            if not call.done and random.random() < 0.5:
                late.append(call)
            notify(process, Type.INFO, call.f, call.argument)
            del busy[process]
            names[place] = max(names) + 1
        else:
            notify(process, Type.OK, call.f, call.result)
            del busy[process]
    return listed


def altered(
    random: Random, listed: list[Event], answers: Callable[[Random, Event], Any], swaps: float = 0.5
) -> list[Event]:
    """With one or two answers changed: swapped with another's of the same kind, or drawn again. What only repeats its invocation stays as it is."""
    listed = list(listed)
    oks = [i for i, event in enumerate(listed) if event.type is Type.OK and event.f not in REPEATED]
    for _ in range(random.randrange(1, 3)):
        if not oks:
            break
        i = random.choice(oks)
        same = [j for j in oks if listed[j].f == listed[i].f and j != i]
        if same and random.random() < swaps:
            j = random.choice(same)
            listed[i], listed[j] = replace(listed[i], value=listed[j].value), replace(listed[j], value=listed[i].value)
        else:
            listed[i] = replace(listed[i], value=answers(random, listed[i]))
    return listed


def failing(random: Random, listed: list[Event]) -> list[Event]:
    """Now and then an answer becomes a refusal: the operation then must not have happened."""
    return [replace(e, type=Type.FAIL) if e.type is Type.OK and random.random() < 0.04 else e for e in listed]


class Fifo:
    """A queue; `end` 0 is where values leave: the last put at -1 makes it a stack. `values`: so many, used again and again, or (0) each once."""

    def __init__(self, put: str, take: str, leaves: Callable[[deque[int]], int], values: int = 0) -> None:
        self.items: deque[int] = deque()
        self.next = 0
        self.put, self.take, self.leaves, self.values = put, take, leaves, values

    def calls(self, random: Random) -> tuple[str, Any]:
        if random.random() < 0.5:
            self.next += 1
            return self.put, random.randint(1, self.values) if self.values else self.next
        return self.take, None

    def apply(self, f: str, argument: Any) -> Any:
        if f == self.put:
            self.items.append(argument)
            return argument
        if not self.items:
            return None
        at = self.leaves(self.items)
        value = self.items[at]
        del self.items[at]
        return value


def _last(items: deque[int]) -> int:
    return len(items) - 1


def _greatest(items: deque[int]) -> int:
    return max(range(len(items)), key=lambda i: items[i])


class Priorities(Fifo):
    """Priorities in no particular order."""

    def __init__(self, random: Random) -> None:
        super().__init__("insert", "poll", _greatest)
        # The last thirty are put first, and are those of the golden answers; only long histories reach the others.
        self.left = [*Random(1).sample(range(40, 100), 30), *random.sample(range(1, 40), 30)]

    def calls(self, random: Random) -> tuple[str, Any]:
        return (self.put, self.left.pop()) if random.random() < 0.5 else (self.take, None)


def sized(random: Random, most: int) -> tuple[int, int]:
    """How many operations, fewer than `most`, by how many processes."""
    return random.randrange(3, most), random.randrange(1, 5)


def container(kind: str, most: int, info: float = 0.12, values: int = 0) -> Callable[[Random], History]:
    """Histories of a queue, a stack or a priority queue."""

    def make(random: Random) -> History:
        if kind == "priority-queue":
            box: Fifo = Fifo("insert", "poll", _greatest, values) if values else Priorities(random)
        elif kind == "stack":
            box = Fifo("push", "pop", _last, values)
        else:
            box = Fifo("enqueue", "dequeue", lambda items: 0, values)

        def answer(random: Random, event: Event) -> Any:
            if event.f == box.put:
                return event.value
            known = [e.value for e in reported if e.f == box.put and e.type is Type.INVOKE]
            return random.choice([None, *known, *known])

        reported = events(random, World(box.calls, box.apply, info), *sized(random, most))
        return finished(random, reported, answer)

    return make


def finished(random: Random, listed: list[Event], answer: Callable[[Random, Event], Any]) -> History:
    if random.random() < 0.5:
        listed = altered(random, listed, answer)
    if random.random() < 0.3:
        listed = failing(random, listed)
    return History(listed)

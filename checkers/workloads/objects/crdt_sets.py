"""Specification of observed-remove sets: an element is there if some delivered add of it was seen by no delivered remove."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from tribulation.histories import canonical

from ...traces.traces import Line, Traces

Name = tuple[Hashable, Hashable]
"""(object, update)."""


@dataclass(slots=True)
class Tags:
    """Meaning of each update, as its creating node traced it: an add of an element, or a remove of adds that it had seen."""

    adds: dict[Name, tuple[Hashable, Line]] = field(default_factory=dict)
    removes: dict[Name, tuple[Hashable, ...]] = field(default_factory=dict)
    objects: set[Hashable] = field(default_factory=set)

    def traced(self, name: Hashable, update: Hashable) -> bool:
        """Return whether the update's creation was traced."""
        return (name, update) in self.adds or (name, update) in self.removes

    def add_line(self, name: Hashable, update: Hashable) -> Line:
        return self.adds[name, update][1]


def survey_tags(traces: Traces) -> Tags:
    tags = Tags()
    for incarnation in traces:
        for line in incarnation.lines:
            if line["event"] not in ("crdt-add", "crdt-remove"):
                continue
            name = canonical(line["object"])
            place = (name, canonical(line["update"]))
            tags.objects.add(name)
            if line["event"] == "crdt-add":
                tags.adds[place] = (canonical(line["element"]), line)
            else:
                tags.removes[place] = tuple(map(canonical, line["observed"]))
    return tags


@dataclass(slots=True)
class OrSet:
    """The set after the updates delivered so far, in whatever order they came. `live`: element → its adds that no delivered remove had seen."""

    live: dict[Hashable, list[Hashable]] = field(default_factory=dict)
    gone: set[Hashable] = field(default_factory=set)

    def deliver(self, update: Hashable, tags: Tags, name: Hashable) -> None:
        if (name, update) in tags.adds:
            if update not in self.gone:
                self.live.setdefault(tags.adds[name, update][0], []).append(update)
            return
        for seen in tags.removes.get((name, update), ()):
            self.gone.add(seen)
            if (name, seen) in tags.adds:
                self._drop(tags.adds[name, seen][0], seen)

    def _drop(self, element: Hashable, add: Hashable) -> None:
        left = [one for one in self.live.get(element, ()) if one != add]
        if left:
            self.live[element] = left
        else:
            self.live.pop(element, None)

    def present(self) -> set[Hashable]:
        return set(self.live)

    def adds_of(self, element: Hashable) -> list[Hashable]:
        return self.live[element]

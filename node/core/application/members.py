"""The replicated application `members`: the members of the cluster and the state of each in its lifecycle.

    apply(7, "members.join", {"name": "n4", "host": "10.0.0.4", "port": 10000, "udp": 9999, "role": "hybrid", "capacity": {…}, "incarnation": 1})
    view["n4"]["state"] == "JOINING"

A transition that is not in the table of `lifecycle.py` is refused with the member's state. Each boot of a node is an incarnation greater than the one
before, also after the node was removed. So a command of an earlier life that arrives late changes nothing.

A command may name `since`, the index at which the member entered the state that the command starts from. Then it takes effect once, however often it
is in the log. This lets a member that was failed by mistake come back in its present incarnation. It also lets a node come back after its disk was
replaced, although its incarnations count from 1 again: a command that names the newest state is not a late duplicate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from ...config.cluster import ROLES, Capacity
from ...config.node import NodeConfig
from ...flaws.switch import Flaws
from ...printable import printable
from ..interface.entry import canonical
from ..records.lifecycle import FAILED, JOINING, LEAVING, REMOVED, TRANSITIONS
from .replicated import Fields, done, refused, text_digest
from .sessions import Result

MEMBER_LIMIT = 32
GONE_LIMIT = 256
"""Removed members whose last incarnation is remembered; the one removed first is forgotten first."""

Record = dict[str, Any]
Test = Callable[[Any], bool]


class Members:
    """State of the application: one record per member, with the fields `host port udp_port role capacity incarnation state since`. `since` is the
    index at which the member entered this state.
    """

    name = "members"
    commands = ("members.join", "members.move", "members.remove", "members.leave")
    for_clients = ("members.leave",)
    sent_once = ()

    def __init__(self, config: NodeConfig) -> None:
        self._flaws = Flaws.from_names(config.flaws)
        self.view: dict[str, Record] = {}
        self.fresh: dict[str, None] = {}
        self._gone: dict[str, tuple[int, int]] = {}
        """Removed member → its last incarnation, and the index of its removal."""

    def problem(self, command: str, fields: Fields) -> str | None:
        """Describe what is wrong with a command; see `Replicated`."""
        needed, optional = _FIELDS[command]
        for name in fields:
            if name not in needed and name not in optional:
                return f"{command} has no field {str(name)[:64]!r}; its fields are {', '.join((*needed, *optional))}"
        for name in (*needed, *(name for name in optional if name in fields)):
            if name not in fields:
                return f"{command} lacks the field {name!r}"
            test, wanted = _TESTS[name]
            if not test(fields[name]):
                return f"{name}: {repr(fields[name])[:80]} is not {wanted}"
        return None

    def apply(self, index: int, command: str, fields: Fields) -> Result:
        """Apply a command; see `Replicated`. Errors: `not-found`, `stale-incarnation`, `stale` (another `since`), `illegal-transition`, `full`."""
        if command == "members.join":
            return self._join(index, fields)
        record = self.view.get(fields["name"])
        if record is None:
            return refused("not-found", f"{fields['name']} is not a member")
        late = _late(record, fields)
        if late is not None:
            return late
        if command == "members.leave":
            return self._move(index, fields["name"], record, LEAVING)
        if command == "members.move":
            return self._move(index, fields["name"], record, fields["to"])
        return self._remove(index, fields["name"], record)

    def query(self, fields: Fields) -> Any:
        """Return all members by name, or with `{"name": "n4"}` that one, or null."""
        if "name" in fields:
            name = fields["name"]
            return self.view.get(name) if isinstance(name, str) else None
        return dict(sorted(self.view.items()))

    def dump(self) -> Any:
        return {
            "members": [[name, record] for name, record in self.view.items()],
            "gone": [[name, *last] for name, last in self._gone.items()],
        }

    def digest(self) -> str:
        return text_digest(canonical(self.dump()))

    def restore(self, data: Any) -> None:
        """Restore in place: other machines hold `view`, so it stays the same object."""
        state = data or {}
        self.fresh.update(dict.fromkeys(self.view))
        self.view.clear()
        self.view.update({name: dict(record) for name, record in state.get("members", ())})
        self.fresh.update(dict.fromkeys(self.view))
        self._gone = {name: (incarnation, since) for name, incarnation, since in state.get("gone", ())}

    def _join(self, index: int, fields: Fields) -> Result:
        name, incarnation = fields["name"], fields["incarnation"]
        record = self.view.get(name)
        if record is None:
            last, since = self._gone.get(name, (-1, None))
        else:
            last, since = record["incarnation"], record["since"]
        if incarnation <= last and (since is None or fields.get("since") != since):
            if record is not None and incarnation == last:
                return _at(name, record)
            message = f"{name} was a member in incarnation {last} already, so it does not join in {incarnation}"
            return refused("stale-incarnation", message, incarnation=last, since=since)
        if record is None and len(self.view) >= MEMBER_LIMIT and not self._make_room(index):
            return refused("full", f"there are {MEMBER_LIMIT} members, and none of them has failed")
        self._gone.pop(name, None)
        own = _own_words(fields)
        if self._flaws.capacities_ignored:
            own["capacity"] = asdict(Capacity())
        self.view[name] = {**own, "incarnation": incarnation, "state": JOINING, "since": index}
        self.fresh[name] = None
        return _at(name, self.view[name])

    def _move(self, index: int, name: str, record: Record, to: str) -> Result:
        state = record["state"]
        if state == to:
            return _at(name, record)
        # A life begins by joining and ends by being removed: both have commands of their own.
        if to not in TRANSITIONS[state] or to in (JOINING, REMOVED):
            return _illegal(name, state, to)
        self.view[name] = {**record, "state": to, "since": index}
        self.fresh[name] = None
        return _at(name, self.view[name])

    def _remove(self, index: int, name: str, record: Record) -> Result:
        if REMOVED not in TRANSITIONS[record["state"]]:
            return _illegal(name, record["state"], REMOVED)
        self._forget(index, name)
        return done(name=name, state=REMOVED, incarnation=record["incarnation"])

    def _make_room(self, index: int) -> bool:
        """Replace the member that failed longest ago by the new one. Returns whether there was one."""
        failed = [(record["since"], name) for name, record in self.view.items() if record["state"] == FAILED]
        if failed:
            self._forget(index, min(failed)[1])
        return bool(failed)

    def _forget(self, index: int, name: str) -> None:
        self._gone[name] = (self.view.pop(name)["incarnation"], index)
        if len(self._gone) > GONE_LIMIT:
            del self._gone[next(iter(self._gone))]
        self.fresh[name] = None


def _late(record: Record, fields: Fields) -> Result | None:
    """Refuse a command that starts from another incarnation or state than the present one."""
    now, named = record["incarnation"], fields.get("incarnation", record["incarnation"])
    if named != now:
        return refused(
            "stale-incarnation", f"{fields['name']} is in incarnation {now}, not in {named}", incarnation=now
        )
    since = record["since"]
    if fields.get("since", since) != since and fields.get("to") != record["state"]:
        message = f"{fields['name']} is {record['state']} since entry {since}, not since {fields['since']}"
        return refused("stale", message, state=record["state"])
    return None


def _illegal(name: str, state: str, to: str) -> Result:
    allowed = ", ".join(TRANSITIONS[state])
    return refused(
        "illegal-transition", f"{name} is {state}, from where it goes to {allowed}, not to {to}", state=state
    )


def _at(name: str, record: Record) -> Result:
    return done(name=name, state=record["state"], incarnation=record["incarnation"], since=record["since"])


def _own_words(fields: Fields) -> Record:
    """The part of a record that the member itself supplies."""
    own = {name: fields[name] for name in ("host", "port", "role")}
    return {**own, "udp_port": fields["udp"], "capacity": dict(fields["capacity"])}


def _integer(low: int, high: int) -> tuple[Test, str]:
    return lambda value: type(value) is int and low <= value <= high, f"an integer {low}..{high}"


def _word(longest: int) -> Test:
    return lambda value: isinstance(value, str) and 0 < len(value) <= longest and printable(value) and "/" not in value


_CAPACITY: Mapping[str, tuple[Test, str]] = {
    "slots": _integer(0, 16),
    "cpu_percent": _integer(1, 100_000),
    "memory_mib": _integer(1, 1 << 30),
}


def _capacity(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and len(value) == len(_CAPACITY)
        and all(name in value and test(value[name]) for name, (test, _) in _CAPACITY.items())
    )


_INDEX = _integer(0, 1 << 62)
_TESTS: Mapping[str, tuple[Test, str]] = {
    "name": (_word(64), "a name of 1-64 printable characters without '/'"),
    "host": (_word(255), "a host of 1-255 printable characters"),
    "port": _integer(1, 65535),
    "udp": _integer(1, 65535),
    "role": (lambda value: value in ROLES, f"one of {', '.join(ROLES)}"),
    "capacity": (_capacity, "an object of slots 0..16, cpu_percent 1..100000 and memory_mib 1..2^30"),
    "incarnation": _INDEX,
    "since": _INDEX,
    "to": (lambda value: isinstance(value, str) and value in TRANSITIONS, f"one of {', '.join(TRANSITIONS)}"),
}
_FIELDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "members.join": (("name", "host", "port", "udp", "role", "capacity", "incarnation"), ("since",)),
    "members.move": (("name", "incarnation", "to"), ("since",)),
    "members.remove": (("name", "incarnation"), ("since",)),
    "members.leave": (("name",), ("incarnation", "since")),
}

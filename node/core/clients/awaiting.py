"""Requests whose answer waits for their effect: an agent runs, a task is done, a member has left.

The command was applied, so the answer is `ok` in any case. At the deadline it is sent with the state of that moment and `"awaited": false`. The
effect is read from the application's own record, once this node has applied the command itself.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..interface.signals import Changed
from .pending import Pending, Stage

Record = Mapping[str, Any]
NOTHING: Mapping[str, Sequence[str]] = {}


def _runs(record: Record | None) -> bool:
    return record is not None and record["state"] == "running" and not record.get("moving")


def _ended(record: Record | None) -> bool:
    return record is None or record["state"] in ("done", "dead")


def _gone(record: Record | None) -> bool:
    return record is None


_SETTLED: dict[str, tuple[str, Callable[[Record | None], bool]]] = {
    "agents.spawn": ("agent", _runs),
    "agents.deploy": ("agents", _runs),
    "agents.move": ("agent", _runs),
    "agents.stop": ("agent", _gone),
    "tasks.submit": ("task", _ended),
    "members.leave": ("name", _gone),
}
"""By command: the field that names its subject, and the test for its end."""

_MANY = ("agents.deploy",)
"""Commands about several subjects: the answer has `records` instead of `record`."""


class Awaiting:
    def __init__(self, me: str) -> None:
        self._me = me
        self._views: dict[str, Mapping[str, Record]] = {}
        self._waiting: dict[tuple[str, str], dict[int, Pending]] = {}
        self._by_token: dict[int, Pending] = {}
        self._unreached: list[tuple[int, int]] = []
        """A heap: the index that must be applied first, with the token."""
        self.rtt_ns: Mapping[str, int] = {}

    def begin(self, pending: Pending, body: dict[str, Any]) -> bool:
        """Return whether this request's answer must wait. If so, store it with the answer so far."""
        request = pending.request
        if request is None or not request.awaits or request.call is None or body["status"] != "ok":
            return False
        if request.call[0] not in _SETTLED:
            return False
        pending.stage, pending.answer = Stage.AWAITING, body
        self._by_token[pending.token] = pending
        heapq.heappush(self._unreached, (body.get("index", 0), pending.token))
        app, subjects = _subjects(pending)
        for subject in subjects:
            self._waiting.setdefault((app, subject), {})[pending.token] = pending
        return True

    def settled(self, applied: int, touched: Mapping[str, Sequence[str]] = NOTHING) -> list[Pending]:
        """Return and remove the requests whose effect has come. Only two kinds are examined: requests whose own command was applied since the last
        call, and requests that wait for an id in `touched` (ids by application).
        """
        found = {}
        while self._unreached and self._unreached[0][0] <= applied:
            token = heapq.heappop(self._unreached)[1]
            if token in self._by_token:
                found[token] = self._by_token[token]
        for app, ids in touched.items():
            found |= self._about(app, ids)
        return self._settled_of(found, applied)

    def changed(self, signal: Changed, applied: int) -> list[Pending]:
        first = signal.app not in self._views
        self._views[signal.app] = signal.view
        ids = [id_ for app, id_ in self._waiting if app == signal.app] if first else signal.ids
        return self._settled_of(self._about(signal.app, ids), applied)

    def answer(self, pending: Pending, *, awaited: bool) -> dict[str, Any]:
        """Complete the answer with the current record and the measured distance to the subject's node."""
        app, subjects = _subjects(pending)
        records = [self._views.get(app, {}).get(subject) for subject in subjects]
        if pending.request is not None and pending.request.call is not None and pending.request.call[0] in _MANY:
            return {**(pending.answer or {}), "awaited": awaited, "records": dict(zip(subjects, records, strict=True))}
        record = records[0]
        host = None if record is None else record.get("host")
        network_ns = 0 if host in (None, self._me) else self.rtt_ns.get(str(host))
        return {**(pending.answer or {}), "awaited": awaited, "record": record, "network_ns": network_ns}

    def forget(self, pending: Pending) -> None:
        self._by_token.pop(pending.token, None)
        app, subjects = _subjects(pending)
        for key in ((app, subject) for subject in subjects):
            waiting = self._waiting.get(key)
            if waiting is not None:
                waiting.pop(pending.token, None)
                if not waiting:
                    del self._waiting[key]

    def _about(self, app: str, ids: Iterable[str]) -> dict[int, Pending]:
        found = (self._waiting.get((app, id_)) for id_ in ids)
        return {token: pending for some in found if some for token, pending in some.items()}

    def _settled_of(self, waiting: dict[int, Pending], applied: int) -> list[Pending]:
        return [waiting[token] for token in sorted(waiting) if self._is_settled(waiting[token], applied)]

    def _is_settled(self, pending: Pending, applied: int) -> bool:
        assert pending.request is not None and pending.request.call is not None and pending.answer is not None
        app, subjects = _subjects(pending)
        if app not in self._views or applied < pending.answer.get("index", 0):
            return False
        _, is_so = _SETTLED[pending.request.call[0]]
        records = self._views.get(app, {})
        return all(is_so(records.get(subject)) for subject in subjects)


def _subjects(pending: Pending) -> tuple[str, list[str]]:
    """Return the application and the ids that the command is about: for a deployment, those that were placed."""
    assert pending.request is not None and pending.request.call is not None
    command, fields = pending.request.call
    app = command.partition(".")[0]
    if command in _MANY:
        return app, list((pending.answer or {}).get("placed", {}))
    return app, [str(fields[_SETTLED[command][0]])]

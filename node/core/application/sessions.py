"""Client sessions, by which a command that is sent again takes effect once (Raft thesis, 6.3).

A session is named by the log index at which it was opened. It remembers its last sequence number and the reply to it. The table of sessions and their
order of last use are part of the replicated state and of snapshots. When there are too many sessions, the one that was used longest ago is evicted.
When large replies take too much room together, the oldest one is forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from ...flaws.switch import Flaws
from ..interface.entry import canonical
from ..records.change_sum import ABSENT, ChangeSum, number_of, sum_of
from .kv import characters

SESSION_LIMIT = 4096
"""The same on every node, because eviction is replicated state."""

LARGE_CHARACTERS = 4096
LARGE_REPLIES_CHARACTERS = 64 << 20
"""Characters of the results in all large replies together, at most."""
FORGOTTEN: dict[str, Any] = {
    "status": "info",
    "error": "superseded",
    "message": "it was applied already; its answer was large and is not remembered",
}

Result = dict[str, Any]


class Sessions:
    def __init__(self, flaws: Flaws, limit: int = SESSION_LIMIT) -> None:
        self._flaws = flaws
        self._limit = limit
        self._sessions: OrderedDict[int, tuple[int, Result | None]] = OrderedDict()
        self._large: OrderedDict[int, int] = OrderedDict()
        """Characters of the results of sessions whose last reply is large; in the order of `_sessions`."""
        self._large_total = 0
        self._sum = ChangeSum(self._text_of)

    def open(self, index: int) -> Result:
        self._sum.note(index, ABSENT)
        self._sessions[index] = (0, None)
        while len(self._sessions) > self._limit:
            session, state = self._sessions.popitem(last=False)
            self._sum.note(session, state)
            self._weigh(session, 0)
        return {"status": "ok", "session": index, "results": [index]}

    def answered(self, session: int, seq: int) -> Result | None:
        """Return the stored reply if the command was applied before; None when it is new."""
        known = self._sessions.get(session)
        if known is None:
            message = f"session {session} is not known here (evicted, or never opened)"
            return {"status": "fail", "error": "session-expired", "message": message}
        self._sessions.move_to_end(session)
        if session in self._large:
            self._large.move_to_end(session)
        last, reply = known
        if seq > last or self._flaws.no_client_dedup:
            return None
        if seq == last:
            return reply
        message = f"session {session} is at seq {last} already; whether {seq} took effect is not remembered"
        return {"status": "info", "error": "superseded", "message": message}

    def remember(self, session: int, seq: int, reply: Result, size: int) -> None:
        """Store the reply to the last command of a session. `size` is the length of the reply's results as JSON, in characters."""
        self._sum.note(session, self._sessions.get(session, ABSENT))
        self._sessions[session] = (seq, reply)
        self._weigh(session, size)
        while self._large_total > LARGE_REPLIES_CHARACTERS:
            oldest = next(iter(self._large))
            state = self._sessions[oldest]
            self._sum.note(oldest, state)
            self._sessions[oldest] = (state[0], FORGOTTEN)
            self._weigh(oldest, 0)

    def forget_idle(self, index: int) -> None:
        """Drop the sessions whose last command is at or before `index` (only under the flaw `session-forgotten-at-snapshot`)."""
        for session, (_, reply) in list(self._sessions.items()):
            if max(session, (reply or {}).get("index", 0)) <= index:
                self._sum.note(session, self._sessions.pop(session))
                self._weigh(session, 0)

    def digest(self) -> str:
        """Digest of every session's last command and of their order; costs as much as the sessions that changed since the last call."""
        return _digest(self._sum.settle(self._sessions), list(self._sessions))

    def digest_of(self, rows: Sequence[Any]) -> str:
        """Return the digest that sessions restored from `rows` would have. With a planted flaw these differ from the present sessions."""
        sessions = {session: (seq, reply) for session, seq, reply in rows}
        return _digest(sum_of(self._text_of, sessions), list(sessions))

    def dump(self) -> Sequence[Any]:
        """Return a row for each session, the least recently used one first."""
        return [self._row(session, state) for session, state in self._sessions.items()]

    def restore(self, data: Sequence[Any] | None) -> None:
        self._sessions = OrderedDict((session, (seq, reply)) for session, seq, reply in data or ())
        self._sum.reset(self._sessions)
        self._large.clear()
        self._large_total = 0
        for session, (_, reply) in self._sessions.items():
            self._weigh(session, sum(map(characters, (reply or {}).get("results", ()))))

    def _weigh(self, session: int, size: int) -> None:
        self._large_total -= self._large.pop(session, 0)
        if size > LARGE_CHARACTERS:
            self._large[session] = size
            self._large_total += size

    def _row(self, session: int, state: tuple[int, Result | None]) -> list[Any]:
        return [session, 0, None] if self._flaws.dedup_table_not_in_snapshot else [session, *state]

    def _text_of(self, session: int, state: tuple[int, Result | None]) -> str:
        return canonical(self._row(session, state))


def _digest(total: int, order: list[int]) -> str:
    return f"{total:032x}{number_of(canonical(order)):032x}"

"""The replicated state machine. It applies committed entries in order, answers queries from the applied state, and dumps and restores its state.

It knows nothing of terms, leaders and clients: the same entries produce the same state and results on every node.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from ...config.node import NodeConfig
from ...errors import CorruptionError
from ...flaws.switch import Flaws
from ..interface.entry import CONFIG, NOOP, Entry, canonical
from ..interface.machine import Machine
from ..interface.outbox import Outbox
from ..interface.signals import Answer, Applied, Changed, Committed, Query, Restore, SnapshotDue, SnapshotTaken
from ..records.commands import COMMANDS, OPEN, TRANSACTION, well_formed
from .dump import PAUSE_NS, SORTED_KEYS, Dump
from .kv import RESULTS_CHARACTERS, KeyValue, Mismatch, TooLarge
from .registry import Applications
from .replicated import state_digest
from .sessions import Result, Sessions

VIEW = "view"
"""Micro-operation of a query: `["view", application, fields]`."""
DIGEST_EVERY = 1000
TIMER = "application/snapshot"
FEW = 4
"""A large state is not written again before a quarter as many entries were applied as it has keys. So a write pays for at most four keys of a snapshot."""
LITTLE_CHARACTERS = 64 << 20
"""Unless the log has grown by this many characters, and by a quarter of the state."""
CATCH_UP = "application/catch-up"
AT_ONCE = 256 * 1024
"""Characters applied in one step, at most; each entry counts for a hundred more."""
SETTLE_CHARACTERS = 64 * 1024
"""Commands of this total size trigger an update of the digest, so that a query for it never has much to do."""


class Application(Machine):
    name = "application"

    def __init__(self, config: NodeConfig, out: Outbox, applications: Applications) -> None:
        self._out = out
        self._apps = applications.by_name
        self._owner = applications.owner
        self._problem = applications.problem
        self._flaws = Flaws.from_names(config.flaws)
        self._sessions = Sessions(self._flaws)
        self._kv = KeyValue(self._flaws)
        self._uncounted = 0
        """Characters of the commands applied since the last update of the digest."""
        self.applied = 0
        self.failed = 0
        """Commands whose application raised."""
        self._behind: deque[Entry] = deque()
        """Committed entries, next in order, that are not applied yet."""
        self._logged = 0
        """Characters of the commands applied since the last snapshot."""
        self._size = 0
        """Characters of the last snapshot made here."""
        self._part = config.snapshot_part
        self._dump: Dump | None = None
        self._saved: tuple[int, Sequence[Any]] = (0, ())
        """For flaws: index and sessions before the latest entries (`applied-index-not-atomic`), or the index of the last snapshot."""
        self.signals: Mapping[type[Any], Callable[[int, Any], None]] = {
            Committed: self._on_committed,
            Query: self._on_query,
            Restore: self._on_restore,
            SnapshotDue: self._on_snapshot_due,
        }

    def digest(self) -> str:
        """Digest of the whole replicated state; its cost grows only with the changes since the last call."""
        return self._digest_with(self._sessions.digest())

    def _digest_with(self, sessions: str) -> str:
        return state_digest(self._kv.digest(), sessions, {name: app.digest() for name, app in self._apps.items()})

    def on_timer(self, now_ns: int, key: str) -> None:
        if key == CATCH_UP:
            self._catch_up(now_ns)
        elif self._dump is not None:
            self._go_on(now_ns, self._dump)

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = {"index": self.applied, "applied": self.applied}
        if not self._apps:
            # Agents and tasks hash what they hold, and the status is requested every second. So `digest` is a request of its own.
            status["digest"] = self.digest()
        return status

    def check(self) -> None:
        assert self.applied >= 0

    def fingerprint(self) -> Any:
        return [self.applied, self.digest()]

    def _on_committed(self, now_ns: int, signal: Committed) -> None:
        entries, last = signal.entries, self._behind[-1].index if self._behind else self.applied
        assert entries[0].index == last + 1, (entries[0].index, last)
        count = 0 if self._behind else _at_once(entries)
        if count:
            self._take(entries[:count] if count < len(entries) else entries)
        if count < len(entries):
            if not self._behind:
                self._out.set_timer(CATCH_UP, now_ns)
            self._behind.extend(islice(entries, count, None))

    def _catch_up(self, now_ns: int) -> None:
        """Apply the next of the committed entries that were too many for one step, as after a restart."""
        if self._behind:
            self._take([self._behind.popleft() for _ in range(_at_once(self._behind))])
        if self._behind:
            self._out.set_timer(CATCH_UP, now_ns)

    def _take(self, entries: Sequence[Entry]) -> None:
        if self._flaws.applied_index_not_atomic:
            self._saved = (self.applied, self._sessions.dump())
        self._out.trace("apply", entries=[[entry.index, entry.term, entry.crc] for entry in entries])
        results = []
        for entry in entries:
            results.append(self._apply(entry))
            self.applied = entry.index
            self._uncounted += len(entry.text)
            self._logged += len(entry.text)
            if self._uncounted >= SETTLE_CHARACTERS:
                self._uncounted = 0
                self._kv.digest()
                self._sessions.digest()
            if entry.index % DIGEST_EVERY == 0:
                self._out.trace("digest", index=entry.index, digest=self.digest())
        self._out.emit(
            Applied(entries, results, {app.name: tuple(app.fresh) for app in self._apps.values() if app.fresh})
        )
        self._emit_changes()

    def _emit_changes(self) -> None:
        for app in self._apps.values():
            if app.fresh:
                ids = tuple(app.fresh)
                app.fresh.clear()
                self._out.emit(Changed(app.name, ids, app.view))

    def _apply(self, entry: Entry) -> Result | None:
        """Apply one command. Every node answers every command, and all alike: a command that stopped one node would stop all of them, again at each
        start.

        An ill-formed command is refused before it changes anything. An exception is a bug in the node. It depends only on entry and state, so it is
        the same everywhere. Its text, which depends on the interpreter, does not enter the state.
        """
        try:
            return self._applied_result(entry)
        except MemoryError:
            raise
        except Exception as error:
            self.failed += 1
            self._out.trace("command-failed", index=entry.index, kind=type(error).__name__)
            return {**_FAILED, "index": entry.index, "term": entry.term}

    def _applied_result(self, entry: Entry) -> Result | None:
        name = entry.command[0]
        if name in (NOOP, CONFIG):
            return None
        if name in COMMANDS and not well_formed(entry.command):
            return {**_ILL_FORMED, "index": entry.index, "term": entry.term}
        if name == OPEN:
            return {**self._sessions.open(entry.index), "index": entry.index, "term": entry.term}
        if name != TRANSACTION:
            return {**self._apply_elsewhere(entry), "index": entry.index, "term": entry.term}
        _, session, seq, ops = entry.command
        answered = self._sessions.answered(session, seq)
        if answered is not None:
            return answered
        done, size = self._kv.transact(ops)
        result = {**_outcome(done), "index": entry.index, "term": entry.term}
        self._sessions.remember(session, seq, result, size)
        return result

    def _apply_elsewhere(self, entry: Entry) -> Result:
        """Apply a command of another application. An ill-formed one that reached the log is refused here, on every node alike."""
        name, fields = entry.command[0], entry.command[1] if len(entry.command) == 2 else None
        app, problem = self._owner(name), self._problem(name, fields)
        if app is None or problem is not None:
            return {"status": "fail", "error": "bad-request", "message": problem}
        assert fields is not None
        return app.apply(entry.index, name, fields)

    def _on_query(self, now_ns: int, signal: Query) -> None:
        if signal.ops[0][0] == VIEW:
            _, name, fields = signal.ops[0]
            body = _outcome([self._apps[name].query(fields)])
        else:
            body = _outcome(self._kv.read(signal.ops))
        self._out.emit(Answer(signal.token, body, self.applied))

    def _on_snapshot_due(self, now_ns: int, signal: SnapshotDue) -> None:
        index, sessions = self.applied, self._sessions.dump()
        if self._behind or self._dump is not None or self._too_soon(signal.entries):
            return
        self._logged = 0
        if self._flaws.applied_index_not_atomic:
            index, sessions = self._saved
        elif self._flaws.session_forgotten_at_snapshot:
            self._sessions.forget_idle(self._saved[0])
            self._saved = (index, ())
            sessions = self._sessions.dump()
        # With that flaw the sessions are older than the rest of the state, and the digest is the snapshot's.
        late = self._flaws.applied_index_not_atomic
        digest = self._digest_with(self._sessions.digest_of(sessions)) if late else self.digest()
        apps = {name: app.dump() for name, app in self._apps.items()}
        self._dump = Dump(index, digest, apps, self._kv.freeze(), sessions, self._part)
        self._go_on(now_ns, self._dump)

    def _too_soon(self, entries: int) -> bool:
        """Return whether little was applied since the last snapshot compared to the state, in entries and in characters."""
        little = self._logged < max(LITTLE_CHARACTERS, self._size // FEW)
        return little and len(self._kv) > SORTED_KEYS and FEW * entries < len(self._kv)

    def _go_on(self, now_ns: int, dump: Dump) -> None:
        """Make the next part of the snapshot under way."""
        if not dump.advance():
            self._out.set_timer(TIMER, now_ns + PAUSE_NS)
            return
        self._kv.thaw()
        self._dump = None
        self._size = dump.text.size
        index = self.applied if self._flaws.snapshot_misses_late_write else dump.index
        self._out.emit(SnapshotTaken(index, dump.text, dump.digest))

    def _on_restore(self, now_ns: int, signal: Restore) -> None:
        self._dump = None
        self._behind.clear()
        try:
            state = json.loads(signal.data) if signal.data is not None else {}
            self._kv.restore(state.get("kv"))
            self._sessions.restore(state.get("sessions"))
            for name, app in self._apps.items():
                app.restore(state.get("apps", {}).get(name))
        except MemoryError:
            raise
        except Exception as error:
            raise CorruptionError(
                f"the snapshot at {signal.index} holds no state of this release ({type(error).__name__}: {error})"[
                    :500
                ],
                "run the release that wrote it, or empty this node's data directory and let the leader fill it again",
            ) from None
        self.applied = signal.index
        self._emit_changes()


def _at_once(entries: Iterable[Entry]) -> int:
    """Return how many of these entries one step applies: at least one."""
    cost = count = 0
    for entry in entries:
        count += 1
        cost += len(entry.text) + 100
        if cost >= AT_ONCE:
            break
    return count


_ILL_FORMED: Result = {"status": "fail", "error": "bad-request", "message": "the command is ill-formed"}
_FAILED: Result = {
    "status": "fail",
    "error": "command-failed",
    "message": "applying it failed, on every node; this is a bug in the node",
}


_TOO_LARGE: Result = {
    "status": "fail",
    "error": "reply-too-large",
    "message": f"the results are more than {RESULTS_CHARACTERS} characters as JSON; nothing was changed",
}


def _outcome(done: list[Any] | Mismatch | TooLarge) -> Result:
    if isinstance(done, TooLarge):
        return _TOO_LARGE
    if isinstance(done, Mismatch):
        message = f"{done.key} is {canonical(done.found)}, not {done.wanted}"
        return {"status": "fail", "error": "mismatch", "results": [done.found], "message": message}
    return {"status": "ok", "results": done}

"""Interface of a replicated application: state that changes only by commands of the log, so that it is the same on every node.

A command is `["members.join", {"name": "n4", …}]`: its name, whose part before the dot is the application's, and its fields. Applications are pure
and total: for fields that `problem` accepts, `apply` answers and never raises. They read no clock and draw no random numbers. Time reaches them as
commands only: a node proposes that a deadline has passed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol

from ..interface.entry import canonical

Fields = Mapping[str, Any]
Result = dict[str, Any]


class Replicated(Protocol):
    """One replicated application. `view` is its state by id, read-only for callers. `fresh` collects the ids that were touched since it was last
    emptied.
    """

    name: str
    fresh: dict[str, None]

    @property
    def view(self) -> Mapping[str, Any]: ...

    @property
    def commands(self) -> tuple[str, ...]:
        """Return the full names of the commands."""
        ...

    @property
    def for_clients(self) -> tuple[str, ...]:
        """Return the commands that clients may send; only nodes may send the others."""
        ...

    @property
    def sent_once(self) -> tuple[str, ...]:
        """Return the client commands that must not take effect twice, such as a spawn that is repeated after a stop. These commands have no session
        that would prevent it.
        """
        ...

    def problem(self, command: str, fields: Fields) -> str | None:
        """Return why these fields are invalid, whatever the state: a sentence with the field and its value. None: they are valid."""
        ...

    def apply(self, index: int, command: str, fields: Fields) -> Result:
        """Apply one command. If it grants a number, that number is the index of its entry.

        Returns `done(…)`, or `refused(error, message)` when the state does not allow it; a refused command changes nothing.
        """
        ...

    def query(self, fields: Fields) -> Any:
        """Answer a client's query about the state, as JSON."""
        ...

    def dump(self) -> Any:
        """Return the whole state as JSON, for `restore`. Equal states have equal dumps."""
        ...

    def digest(self) -> str:
        """Digest of the whole state: equal for equal states, and cheap enough for every thousand commands."""
        ...

    def restore(self, data: Any) -> None:
        """Replace the state (None: the empty one), and add every id of the old and the new state to `fresh`."""
        ...


def text_digest(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


DIGEST_SCHEME = "2"
"""Version of the digest of the replicated state. Digests of different versions are not comparable: nodes of two releases may hold the same state."""


def state_digest(keys: str, sessions: str, apps: Mapping[str, str]) -> str:
    """Digest of the whole replicated state, from the digests of its parts."""
    return f"{DIGEST_SCHEME}:{text_digest(canonical([keys, sessions, apps]))}"


def done(**more: Any) -> Result:
    return {"status": "ok", **more}


def refused(error: str, message: str, **more: Any) -> Result:
    """Refusal: `error` is one word for programs (`not-found`, `stale-epoch`, `busy` …), `message` a sentence with the value."""
    return {"status": "fail", "error": error, "message": message, **more}

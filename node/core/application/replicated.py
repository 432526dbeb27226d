"""What a replicated application is: state that changes only by commands of the log, so that it is the same on every node.

A command is `["members.join", {"name": "n4", …}]`: its name, whose part before the dot is the application's, and its fields. Applications are pure and
total: for whatever fields `problem` finds nothing against, `apply` answers and never raises. They read no clock and draw nothing. Time reaches them
as commands only: somebody proposes that it is up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol

from ..interface.entry import canonical

Fields = Mapping[str, Any]
Result = dict[str, Any]


class Replicated(Protocol):
    """`view` is the state to read, by id; who holds it does not change it. `fresh` collects the ids that were touched since somebody emptied it."""

    name: str
    fresh: dict[str, None]

    @property
    def view(self) -> Mapping[str, Any]: ...

    @property
    def commands(self) -> tuple[str, ...]:
        """Their full names."""
        ...

    @property
    def for_clients(self) -> tuple[str, ...]:
        """Those of them that clients may send; nodes send the others to each other."""
        ...

    @property
    def sent_once(self) -> tuple[str, ...]:
        """Those for clients that differ when they take effect twice, as a spawn after a stop does: none of them has a session."""
        ...

    def problem(self, command: str, fields: Fields) -> str | None:
        """What is wrong with these fields, whatever the state: a sentence with the field and its value; None when nothing is."""
        ...

    def apply(self, index: int, command: str, fields: Fields) -> Result:
        """Take one command; the index of its entry is the number that it grants, if it grants one.

        Answers `done(…)`, or `refused(error, message)` when the state does not allow it, which then changes nothing.
        """
        ...

    def query(self, fields: Fields) -> Any:
        """What clients may ask about the state: JSON."""
        ...

    def dump(self) -> Any:
        """The whole state as JSON: what `restore` makes it of. Equal states have equal dumps."""
        ...

    def digest(self) -> str:
        """Of the whole state: equal for equal states, and cheap enough to be taken every thousand commands."""
        ...

    def restore(self, data: Any) -> None:
        """Become this state (None: the empty one), and find every id of it and of the state before fresh."""
        ...


def text_digest(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


DIGEST_SCHEME = "2"
"""How the digest of the replicated state is made. Digests of different schemes are not comparable: nodes of two releases may hold one state."""


def state_digest(keys: str, sessions: str, apps: Mapping[str, str]) -> str:
    """Of the whole replicated state, from the digests of its parts."""
    return f"{DIGEST_SCHEME}:{text_digest(canonical([keys, sessions, apps]))}"


def done(**more: Any) -> Result:
    return {"status": "ok", **more}


def refused(error: str, message: str, **more: Any) -> Result:
    """`error` is one word for programs (`not-found`, `stale-epoch`, `busy` …), `message` a sentence with the value."""
    return {"status": "fail", "error": error, "message": message, **more}

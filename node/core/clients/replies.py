"""Bodies of replies: outcomes in the protocol's words (docs/reference/protocol.md)."""

from __future__ import annotations

from typing import Any

Body = dict[str, Any]


def failed(error: str, message: str, **more: Any) -> Body:
    """Reply for a request that did not take effect and never will."""
    return {"status": "fail", "error": error, "message": message, **more}


def unknown(error: str, message: str) -> Body:
    """Reply for a request that may or may not take effect, perhaps later."""
    return {"status": "info", "error": error, "message": message}


def no_quorum(leader: str | None, what: str) -> Body:
    message = f"this node has had no contact with a quorum for one election timeout; the {what} was not tried"
    return failed("no-quorum", message, leader=leader)


def timed_out(possible: bool) -> Body:
    if possible:
        return unknown("timeout", "no answer before the deadline; it may have been appended")
    return failed("timeout", "no answer before the deadline; it was not tried")


def unsure() -> Body:
    return unknown("leader-changed", "the leader that it was sent to did not answer; it may yet take effect")


def deposed(term: int) -> Body:
    return unknown(
        "leader-changed", f"it was appended in term {term}, whose leader was deposed; it may yet take effect"
    )

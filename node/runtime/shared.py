"""What the links and the accepted connections of one node have in common: identity, bounds, selector, log."""

from __future__ import annotations

import selectors
from collections.abc import Mapping
from typing import Any, Protocol

from ..wire import Kind, encode
from .logs import NodeLog
from .options import Limits

PEERS_PINGED_OFTEN = 4


class Flushable(Protocol):
    def flush(self) -> None: ...


class Shared:
    def __init__(self, node: str, cluster: str, incarnation: int, limits: Limits, log: NodeLog) -> None:
        self.node = node
        self.cluster = cluster
        self.limits = limits
        self.log = log
        self.selector = selectors.DefaultSelector()
        self.hello = encode(Kind.HELLO, {"cluster": cluster, "role": "node", "name": node, "incarnation": incarnation})
        self.lost_datagrams = 0
        """Datagrams that did not get out: no route, a full buffer, an address that is none."""
        self.slowness = 1
        """How many times rarer pings and housekeeping are than in a small cluster, and how much longer silence is suffered: with 31 peers, they alone would keep a processor busy."""
        self._dirty: dict[Flushable, None] = {}

    def crowd(self, peers: int) -> None:
        """There are so many peers now."""
        self.slowness = max(1, -(-peers // PEERS_PINGED_OFTEN))

    def mark_dirty(self, who: Flushable) -> None:
        """`who` queued bytes in this turn and must be flushed at its end."""
        self._dirty[who] = None

    def take_dirty(self) -> list[Flushable]:
        dirty = list(self._dirty)
        self._dirty.clear()
        return dirty

    def wrong_hello(self, hello: Mapping[str, Any], expected_name: str | None = None) -> str | None:
        """Why this hello is refused, or None when it is one of ours (and of `expected_name`, if given)."""
        cluster, role, name = hello.get("cluster"), hello.get("role"), hello.get("name")
        if cluster != self.cluster:
            return f"the hello is of cluster {_short(cluster)}; this is {self.cluster!r}"
        if role not in ("node", "client"):
            return f"the hello has role {_short(role)}; known are 'node' and 'client'"
        if not isinstance(name, str) or not 0 < len(name) <= 64:
            return f"the hello has name {_short(name)}; a name has 1 to 64 characters"
        if expected_name is not None and (name != expected_name or role != "node"):
            return f"{expected_name} was dialled but {role} {name!r} answered"
        return None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."

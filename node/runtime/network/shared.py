"""State shared by the links and the accepted connections of one node: identity, bounds, selector, log."""

from __future__ import annotations

import selectors
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from ...wire import Kind, encode
from ..options import Limits
from ..security.identity import Identity
from ..security.rotating import Rotating
from ..telemetry.logs import NodeLog
from ..telemetry.rates import Rates
from ..telemetry.refusals import Refusals, Refused
from .guard import Endpoint, Guard

if TYPE_CHECKING:
    from ..security.authentic import Keys
    from ..security.tls import Credentials, Session

PEERS_PINGED_OFTEN = 4


class Flushable(Endpoint, Protocol):
    def flush(self) -> None: ...


class Shared:
    """State shared by all connections. `tls` is None when connections are plain, `datagram_keys` when datagrams are."""

    def __init__(
        self,
        node: str,
        cluster: str,
        incarnation: int,
        limits: Limits,
        log: NodeLog,
        tls: Rotating[Credentials] | None = None,
        datagram_keys: Rotating[Keys] | None = None,
    ) -> None:
        self.node = node
        self.cluster = cluster
        self.incarnation = incarnation
        self.tls = tls
        self.datagram_keys = datagram_keys
        self.refusals = Refusals(log)
        self.guard = Guard(log)
        self.handshakes = Rates(limits.handshakes_per_s, limits.handshakes_burst)
        self._next_look_ns = 0
        self._files_wanted = False
        self.limits = limits
        self.log = log
        self.selector = selectors.DefaultSelector()
        self.hello = encode(
            Kind.HELLO, {"cluster": cluster, "role": "node", "name": node, "incarnation": incarnation, "checked": True}
        )
        self.lost_datagrams = 0
        """Datagrams that were not sent: no route, a full buffer, an invalid address."""
        self.dropped: dict[str, int] = {}
        """What was dropped because a queue was full or no connection existed, by reason."""
        self.slowness = 1
        """How many times less often pings and housekeeping run than in a small cluster, and how much longer silence is tolerated: with 31 peers, they
        alone would keep a processor busy.
        """
        self._dirty: dict[Flushable, None] = {}

    def drop(self, reason: str, count: int = 1) -> None:
        """Count dropped messages, replies or trace lines. `reason` is one of a few words."""
        self.dropped[reason] = self.dropped.get(reason, 0) + count

    def set_peer_count(self, peers: int) -> None:
        """Set the number of peers."""
        self.slowness = max(1, -(-peers // PEERS_PINGED_OFTEN))

    def mark_dirty(self, who: Flushable) -> None:
        """Record that `who` queued bytes in this turn and must be flushed at its end."""
        self._dirty[who] = None

    def take_dirty(self) -> list[Flushable]:
        dirty = list(self._dirty)
        self._dirty.clear()
        return dirty

    def reload(self) -> None:
        """Read the files of certificates and keys at the next housekeeping. May be called from any thread and from signal handlers."""
        self._files_wanted = True

    def look_at_files(self, now_ns: int) -> None:
        """Check the files of certificates and keys (housekeeping): new connections and datagrams use their present content."""
        wanted, self._files_wanted = self._files_wanted, False
        if wanted or now_ns >= self._next_look_ns:
            self._next_look_ns = now_ns + self.limits.files_look_ns
            for files in (self.tls, self.datagram_keys):
                if files is not None:
                    files.look(force=wanted)

    def status(self) -> dict[str, Any]:
        """Return the metrics of the sockets: refusals by reason, lost datagrams, and how long the certificate of this node is valid."""
        counts: dict[str, Any] = {
            "refused": self.refusals.counts,
            "dropped": dict(sorted(self.dropped.items())),
            "broken": self.guard.counts,
            "lost_datagrams": self.lost_datagrams,
        }
        if self.tls is not None:
            counts["certificate_expires_s"] = self.tls.value.expires_s
        return counts

    def session(self, peer: str | None) -> Session | None:
        """Return the TLS session of a new connection. `peer` is the node that was dialled; None for an accepted connection. Returns None without TLS."""
        if self.tls is None:
            return None
        from ..security.tls import Session

        if peer is None:
            return Session(self.tls.value.accepting, True, self._judge_stranger)
        return Session(self.tls.value.dialling, False, lambda found: self._judge_peer(found, peer))

    def _judge_stranger(self, found: Identity | None) -> Refused | None:
        if found is None:
            return Refused("name", "its certificate names no node or client")
        if found.cluster != self.cluster:
            return Refused("cluster", "its certificate is of another cluster")
        return None

    def _judge_peer(self, found: Identity | None, peer: str) -> Refused | None:
        refused = self._judge_stranger(found)
        if refused is None and found != Identity(self.cluster, "node", peer):
            return Refused("name", f"{peer} was dialled; the certificate is that of {found}")
        return refused

    def wrong_identity(self, found: Identity | None, role: str, name: str) -> Refused | None:
        """Return why the hello does not match the certificate, or None. A client may use any name, but its certificate must be one of a client."""
        if self.tls is None or (found is not None and found.role == role and (role == "client" or found.name == name)):
            return None
        if found is not None and found.role != role:
            return Refused("role", f"its hello says {role}, but it shows the certificate of {found}")
        return Refused("name", f"its hello says {role} {name!r}, but it shows the certificate of {found}")

    def wrong_hello(self, hello: Mapping[str, Any], expected_name: str | None = None) -> str | None:
        """Return why this hello is refused. None: it is of this cluster (and of `expected_name`, if given)."""
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

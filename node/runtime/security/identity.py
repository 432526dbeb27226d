"""Identity in a certificate: `tribulation:<cluster>:<role>:<name>`, a URI among its subject alternative names (RFC 5280, section 4.2.1.6).

A certificate names one node or one client of one cluster. Each part is percent-encoded, so that a colon in a name is not a separator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

SCHEME = "tribulation"
ROLES = ("node", "client")


@dataclass(frozen=True, slots=True)
class Identity:
    cluster: str
    role: str
    name: str

    @property
    def uri(self) -> str:
        return ":".join((SCHEME, *(quote(part, safe="") for part in (self.cluster, self.role, self.name))))

    def __str__(self) -> str:
        return f"{self.role} {self.name!r} of cluster {self.cluster!r}"


def parse(uri: str) -> Identity | None:
    """Return the identity of such a URI, as `uri` writes it; None for any other."""
    parts = uri.split(":")
    if len(parts) != 4 or parts[0] != SCHEME:
        return None
    found = Identity(*(unquote(part) for part in parts[1:]))
    return found if found.uri == uri and found.role in ROLES and found.name else None


def identity_of(certificate: Mapping[str, Any] | None) -> Identity | None:
    """Return the identity in a verified certificate, as `SSLObject.getpeercert` returns it. None when it has none, or several, which would be ambiguous."""
    names = [value for kind, value in (certificate or {}).get("subjectAltName", ()) if kind == "URI"]
    ours = [name for name in names if name.startswith(f"{SCHEME}:")]
    return parse(ours[0]) if len(ours) == 1 else None

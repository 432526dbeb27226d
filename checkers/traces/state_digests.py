"""Digests of replicated state: which of them are comparable.

A digest is `SCHEME:HEX`, or `HEX` alone from releases before schemes. Nodes of two releases may compute digests of one state in two ways, so only
digests of one scheme are evidence for or against each other.
"""

from __future__ import annotations

from typing import Any


def scheme_of(digest: Any) -> str:
    """Return the scheme of a digest; "" for one without."""
    return digest.partition(":")[0] if isinstance(digest, str) and ":" in digest else ""

"""Digests of replicated state: which of them can be compared.

A digest is `SCHEME:HEX`, or `HEX` alone as releases before schemes had it. Nodes of two releases may make digests of one state in two ways, so only digests of one
scheme are evidence for or against each other.
"""

from __future__ import annotations

from typing import Any


def scheme_of(digest: Any) -> str:
    """The scheme of a digest; "" for one that names none."""
    return digest.partition(":")[0] if isinstance(digest, str) and ":" in digest else ""

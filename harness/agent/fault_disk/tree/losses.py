"""The losses of a power loss, for the ledger: names, bytes, and files whose writes survived in part. Pure; lists are bounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .nodes import Change, File, Node, bytes_of

MOST = 20
"""The most names in a list; `lost_name_count` counts all of them."""


@dataclass(frozen=True)
class Before:
    """The state that readers saw: names by path, and the pending changes of each file."""

    names: Mapping[str, Node]
    pending: Mapping[File, list[Change]]


def losses(before: Before, durable: Mapping[str, Node], kept: Mapping[File, list[Change]]) -> dict[str, Any]:
    """Return what was lost; `lost_names` now lead to another file or to none; `back_names` had been removed or renamed, and exist again."""
    lost = sorted(path for path, node in before.names.items() if durable.get(path) is not node)
    back = sorted(path for path in durable if path not in before.names)
    pending = {file: bytes_of(changes) for file, changes in before.pending.items()}
    survived = {file: bytes_of(changes) for file, changes in kept.items()}
    paths = {node: path for path, node in sorted(before.names.items(), reverse=True)}
    torn = [
        {"file": paths.get(file, "removed"), "lost_bytes": pending[file] - survived[file], "of_bytes": pending[file]}
        for file in kept
        if 0 < survived[file] < pending[file]
    ]
    return {
        "unsynced_bytes": sum(pending.values()),
        "lost_bytes": sum(pending.values()) - sum(survived.values()),
        "lost_names": lost[:MOST],
        "lost_name_count": len(lost),
        "back_names": back[:MOST],
        "torn": torn[:MOST],
    }

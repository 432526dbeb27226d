"""The files on the disk that replaces a reference node's own: an empty log with a record that something was lost.

A node with an empty disk takes itself for a new one, and votes for the first candidate that asks. But an earlier node of this name may have voted and
acknowledged entries. The doubt is the node's own record of a lost tail: with it, it does not vote or become a candidate until a leader has brought it up to date.
"""

from __future__ import annotations

from tribulation.node.core.storage.recovery import segment_name
from tribulation.node.core.storage.wal import Base, Doubt, Hard, encode_batch, encode_record


def forgotten_log() -> dict[str, bytes]:
    """The files of its data directory, by name."""
    return {segment_name(1): encode_batch([encode_record(record) for record in (Base(0, 0), Hard(0, ""), Doubt(0))])}

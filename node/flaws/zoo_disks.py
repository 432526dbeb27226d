"""The zoo of disks: flaws of what a node finds after a restart, in the order of the documentation."""

from __future__ import annotations

from .flaw import Flaw

DISKS_FLAWS = (
    Flaw(
        "segment-name-not-durable",
        "A new segment of the log is synced, its name is not",
        "A segment's content is synced and its directory is not, so after a power loss the file that held acknowledged entries is not there.",
        "mongo-rocks issue 35; LevelDB issue 196; Pillai et al., All File Systems Are Not Created Equal (2014)",
        "raft-safety",
        ("power",),
        {"snapshot_threshold": 30},
        campaign=True,
        searched=True,
    ),
    Flaw(
        "vote-lost-at-compaction",
        "A new segment of the log forgets the vote",
        "A segment begins with the term and without the vote that was cast in it, so a node that restarts after a compaction votes again in the same term.",
        "Curvine pull request 1554 (hard state and snapshot in separate writes); Raft paper, figure 2",
        "raft-safety",
        ("kill",),
        {"snapshot_threshold": 10},
        campaign=True,
        searched=True,
    ),
)

"""The zoo of roles: flaws of learners, pre-votes, transfers, leases, replication and changes of voters, in the order of the documentation."""

from __future__ import annotations

from .flaw import Flaw

ROLES_FLAWS = (
    Flaw(
        "commit-counts-learners",
        "Nodes without a vote count towards a commit",
        "A leader commits what more than half of the nodes that receive its log hold, whether they vote or not, so the voters that elect the next leader may lack it.",
        "why servers that only catch up are not counted (Raft thesis, 4.2.1); mcp-js pull request 170 (learners kept out of both majorities)",
        "raft-safety",
        ("cut",),
        campaign=True,
        searched=True,
    ),
    Flaw(
        "read-confirmed-by-learners",
        "Nodes without a vote confirm a leader's reads",
        "A round of heartbeats counts as confirmed when more than half of all nodes answered it, so a leader next to its learners reads on while the voters follow another.",
        "etcd issue 10589 and its fix (what a learner's message means to a leader that reads); Raft thesis, 4.2.1 and 6.4",
        "quorum",
        ("cut",),
        campaign=True,
        searched=True,
    ),
    Flaw(
        "handover-never-given-up",
        "A transfer of the leadership that fails is never given up",
        "A leader that handed over accepts no proposals until another leads; it has no deadline, so one whose target was gone serves nothing any more.",
        "openraft issue 2088 (writes stop until some node happens to be elected); why a transfer ends after one election timeout (Raft thesis, 3.10)",
        "availability",
        ("transfer", "cut"),
        campaign=True,
        searched=True,
    ),
    Flaw(
        "lease-from-answer",
        "A lease begins when the answers arrive",
        "The leader's lease and its contact with a quorum are dated from the arrival of the answers and not from the sending of the round, so answers that waited prolong a lease that is over.",
        "hashicorp/raft issue 108; d-engine pull request 401; Raft thesis, 6.4.1",
        "linearizable",
        ("pause", "link"),
        campaign=True,
    ),
    Flaw(
        "probe-never-repeated",
        "A lost probe is never sent again",
        "A leader that probes a follower waits for the answer without end; when the message or the answer is lost, the follower receives no more entries from this leader.",
        "etcd-io/raft pull request 52 (a follower that stays in StateProbe)",
        "availability",
        ("link", "cut"),
        campaign=True,
        searched=True,
    ),
    Flaw(
        "snapshot-chunk-never-repeated",
        "A lost chunk of a snapshot is never sent again",
        "A leader that sends a snapshot waits for the answer to each chunk without end; when one is lost, the follower stays where it is.",
        "etcd issue 10225; dgraph pull request 2707; logcabin issue 174",
        "availability",
        ("link", "kill"),
        {"snapshot_threshold": 10},
        campaign=True,
        searched=True,
    ),
    Flaw(
        "change-acknowledged-uncommitted",
        "A change of voters is acknowledged before it is committed",
        "The leader answers an administrator when it appends the last step of a change; when it is deposed, the next leader's log lacks the step.",
        "jraft issue 1 (a removal acknowledged, then lost with the leader); ClickHouse issue 69355 (success means accepted, not committed)",
        "administration",
        ("voters", "cut"),
        campaign=True,
        searched=True,
    ),
)

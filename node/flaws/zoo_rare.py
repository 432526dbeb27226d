"""The zoo of rare operations: flaws that need changes of voters, transactions of several operations or reads of a session, in the order of the
documentation.
"""

from __future__ import annotations

from .flaw import Flaw

RARE_FLAWS = (
    Flaw(
        "refused-transaction-keeps-part",
        "Writes before a refused operation of a transaction stay",
        "A transaction whose cas finds another value is answered as refused, but its earlier writes are kept.",
        "akash-network/node issue 223; tailscale-rs issue 216",
        "linearizable",
        (),
        campaign=True,
        searched=True,
    ),
    Flaw(
        "transaction-blind-to-itself",
        "A transaction does not see its own changes",
        "Each operation of a transaction works on the state before the transaction, so that of two appends to one list only the last remains.",
        "FaunaDB's internal inconsistency (Kingsbury and Alvaro, Elle, 2020, 7.3)",
        "list-append",
        (),
        campaign=True,
        searched=True,
    ),
    Flaw(
        "sequential-read-behind-session",
        "A session reads a state older than what it has seen",
        "A sequential read is answered from the state at hand, not from that of the index which the client has seen already.",
        "chiselstore issue 32",
        "session-guarantees",
        (),
        campaign=True,
        searched=True,
    ),
    Flaw(
        "changes-of-voters-overlap",
        "The next change of voters does not wait for the previous one",
        "A leader proposes a configuration while the one before is not committed, so two uncommitted ones are in the log.",
        "etcd issue 5004 (several changes that some nodes have not adopted yet)",
        "raft-safety",
        ("voters",),
        campaign=True,
        searched=True,
    ),
    Flaw(
        "weights-jump",
        "One entry changes all weights at once",
        "All requested weights are proposed in one entry, not step by step, so quorums before and after need not intersect.",
        "why servers are changed one at a time (Raft thesis, 4.1)",
        "raft-safety",
        ("voters",),
        campaign=True,
        searched=True,
    ),
    Flaw(
        "voters-adopted-at-commit",
        "A change of voters counts only from its commit on",
        "Quorums are of the last committed configuration and not of the last one in the log.",
        "etcd issues 2397 and 11284",
        "raft-safety",
        ("voters",),
        campaign=True,
        searched=True,
    ),
    Flaw(
        "reconfigures-into-no-quorum",
        "A change of voters is accepted whose voters have no quorum",
        "A leader appends a configuration most of whose voters are down, lost their log's end or lack the log, so no leader can be elected under it.",
        "etcd pull requests 3554 and 6106 (`strict-reconfig-check`)",
        "administration",
        ("voters", "kill"),
        campaign=True,
        searched=True,
    ),
)

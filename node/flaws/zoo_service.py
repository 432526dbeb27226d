"""The zoo of service: flaws that break no promise about data, but do not answer, do not boot or do not do what was requested, in the order of the
documentation.
"""

from __future__ import annotations

from .flaw import Flaw

SERVICE_FLAWS = (
    Flaw(
        "follower-reads-unanswered",
        "Linearizable reads at followers are never answered",
        "The leader drops the requests of followers for a read index, so each of their reads ends at its deadline.",
        "sofa-jraft issue 859 (reads at followers time out, those at the leader do not)",
        "availability",
        (),
        campaign=True,
    ),
    Flaw(
        "torn-tail-refused",
        "A node refuses to boot after a torn write",
        "A last batch that a crash left incomplete is treated as corruption, although nothing in it can have been acknowledged.",
        "etcd issues 5230 and 16596",
        "halts",
        ("power",),
        campaign=True,
    ),
    Flaw(
        "compacted-log-unbootable",
        "A node cannot boot after its own snapshot",
        "The beginning of a compacted log is not read back, so a node whose log was compacted once finds a gap and stops.",
        "ROCm/spur issue 368 (openraft); RedisLabs/redisraft issue 43; hashicorp/raft issue 85",
        "halts",
        ("kill",),
        {"snapshot_threshold": 50},
        campaign=True,
    ),
    Flaw(
        "change-acknowledged-unchanged",
        "A change of voters is acknowledged, and nothing changes",
        "The leader answers an administrator that the weights are active, and appends nothing.",
        "NebulaGraph issue 3386 (a member change fails and returns success)",
        "administration",
        ("voters",),
        campaign=True,
    ),
    Flaw(
        "reads-vanish-at-deposition",
        "A deposed leader forgets its pending reads",
        "Reads that waited for a confirmation are dropped with the leadership, and end at their deadlines although a leader is known.",
        "etcd issue 9566; TiKV pull request 5316",
        "availability",
        ("transfer",),
        campaign=True,
    ),
    Flaw(
        "leader-never-steps-down",
        "A leader without contact to a quorum goes on",
        "There is no check-quorum: an isolated leader holds its clients until their deadlines, and reports that it leads.",
        "SwarmKit issue 1341; Valkey issue 3861",
        "upkeep",
        ("cut",),
        campaign=True,
    ),
    Flaw(
        "snapshot-never-taken",
        "The log is never compacted",
        "The threshold never counts as reached, so the log grows until the disk is full.",
        "OpenBao issue 3342; NATS pull request 3837",
        "upkeep",
        (),
        {"snapshot_threshold": 50},
        campaign=True,
    ),
)

"""The zoo of service: flaws that break no promise about data, but do not answer, do not boot or do not do what was asked, in the order of the documentation."""

from __future__ import annotations

from .flaw import Flaw

SERVICE_FLAWS = (
    Flaw(
        "follower-reads-unanswered",
        "Linearizable reads at followers are never answered",
        "The leader drops the questions of followers for a read index, so that each of their reads ends at its deadline.",
        "sofa-jraft issue 859 (reads at followers time out, those at the leader do not)",
        "availability",
        (),
        campaign=True,
    ),
    Flaw(
        "torn-tail-refused",
        "A node refuses to boot after a torn write",
        "A last batch of which a crash left only a part is taken for corruption, although nothing in it can have been acknowledged.",
        "etcd issues 5230 and 16596",
        "halts",
        ("power",),
        campaign=True,
    ),
    Flaw(
        "compacted-log-unbootable",
        "A node cannot boot after its own snapshot",
        "What begins a compacted log is not read back, so a node whose log was compacted once finds a gap and stops.",
        "ROCm/spur issue 368 (openraft); RedisLabs/redisraft issue 43; hashicorp/raft issue 85",
        "halts",
        ("kill",),
        {"snapshot_threshold": 50},
        campaign=True,
    ),
)

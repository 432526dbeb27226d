"""The zoo of clients: flaws of answers, and of the state that they show, in the order of the documentation."""

from __future__ import annotations

from .flaw import Flaw

CLIENTS_FLAWS = (
    Flaw(
        "answered-by-index-alone",
        "A command is answered with what stands at its index",
        "A command that waits at an index is answered when that index is applied, whichever entry stands there by then; after a change of leaders it is another command's.",
        "re-appearing indices (Gjengset, Students' Guide to Raft, 2016)",
        "split-brain",
        ("cut",),
        campaign=True,
    ),
    Flaw(
        "unknown-reported-as-failed",
        "A command of a deposed leader is reported as failed",
        "A leader that is deposed answers what it had appended with a definite failure, although the next leader may commit it.",
        "hashicorp/raft pull request 561 (an error of Apply means unknown, not failed); Jepsen's indeterminate operations",
        "linearizable",
        ("cut", "transfer"),
        campaign=True,
        searched=True,
    ),
    Flaw(
        "value-changed-in-place",
        "A list is changed in place",
        "An append changes the list that the state, the remembered answers and a snapshot under way share, so a refused transaction keeps its append and answers change after they were given.",
        "Nomad pull requests 16257 and 27548 (objects of the state store changed without a copy)",
        "convergence",
        (),
        {"snapshot_threshold": 30},
        campaign=True,
        searched=True,
    ),
    Flaw(
        "late-answer-of-an-earlier-life",
        "An answer to an earlier life of a node counts for this one",
        "Requests to the leader are numbered from one again in each life of a node, and an answer is not compared with the life that asked, so a late one ends another request.",
        "why etcd's request ids begin with the member and the time of its start (pkg/idutil)",
        "linearizable",
        ("kill", "link"),
        campaign=True,
    ),
)

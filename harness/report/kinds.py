"""The meaning of each common kind of anomaly in one plain sentence: the first thing that a reader of the page learns."""

from __future__ import annotations

from tribulation.checkers.soundness.severity import STAGES, stage

_READ_ONLY_PART = "A transaction saw only a part of another transaction, or saw it too early."

MEANINGS: dict[str, str] = {
    "double-vote": "A node voted for two candidates in one term.",
    "forgotten-vote": "A node forgot after a restart that it had voted in this term.",
    "term-regressed": "A node went back to an older term.",
    "elected-without-quorum": "A node became leader without the votes of a quorum.",
    "leads-without-quorum": "A leader that had lost its quorum did not step down.",
    "two-leaders": "Two nodes led in the same term.",
    "SB1-two-leaders": "Two nodes led in the same term.",
    "two-hosts-in-one-epoch": "Two nodes ran the same agent at once.",
    "runs-without-quorum": "A node went on running an agent although no quorum could reach it.",
    "resumed-without-the-log": "A node ran an agent again that it had already handed over, without asking the replicated log.",
    "double-acquire": "Two clients held the same lock at once.",
    "fence-violated": "Work with an outdated fencing token was accepted.",
    "Q1-acknowledged-before-quorum": "A write was acknowledged before a quorum had it on disk.",
    "Q2-write-without-quorum": "A write was acknowledged while no quorum could be reached.",
    "Q2-write-on-a-side-without-quorum": "A write was acknowledged on the side of a partition that had no quorum.",
    "Q3-unconfirmed-read": "A leader answered a read without checking with a quorum that it still leads.",
    "Q3-read-without-quorum": "A read was answered as linearizable while no quorum could be reached.",
    "Q3-read-on-a-side-without-quorum": "A read was answered as linearizable on the side of a partition that had no quorum.",
    "Q3-read-by-bad-lease": "A leader answered a read by a lease that had run out.",
    "Q4-unmarked-stale-read": "A stale read was not marked as stale.",
    "commit-without-quorum": "A leader committed an entry that no quorum had on disk.",
    "commit-of-old-term": "A leader committed an entry of an earlier term by counting copies (Raft paper, figure 8).",
    "commit-before-written": "An entry was committed before it was on disk.",
    "applied-uncommitted": "A node applied an entry other than the committed one.",
    "applied-differently": "Two nodes applied different commands at the same log index.",
    "leader-incomplete": "A new leader lacked an entry that had been committed.",
    "leader-overwrote": "A leader overwrote an entry of its own log.",
    "SB3-lost-acknowledged-write": "An acknowledged write was replaced by another one in the log.",
    "SB3-two-writes-one-index": "Two writes were acknowledged at the same place of the log.",
    "acknowledged-entry-lost": "A node lost a log entry that had been acknowledged.",
    "committed-entry-lost": "A committed log entry was lost.",
    "log-mismatch": "Two nodes have different entries at one index and term.",
    "lost-write": "An acknowledged write is missing from later reads.",
    "lost-update": "Two transactions read the same value and both updated it: one update is lost.",
    "lost-task": "A task was accepted and never took effect.",
    "lost-agent": "An agent disappeared.",
    "lost-count": "An acknowledged increment is missing.",
    "duplicated": "One write took effect twice.",
    "duplicate-elements": "One element is in a list twice.",
    "duplicated-task": "One task took effect twice.",
    "thin-air": "A read returned a value that nothing wrote.",
    "thin-air-read": "A read returned a value that nothing wrote.",
    "aborted-read": "A read returned a value whose write certainly failed.",
    "stale-read": "A read returned an old value although a newer one had been acknowledged before it began.",
    "SB4-stale-read": "A deposed leader answered a read from its old state, after a newer write had been acknowledged.",
    "not-linearizable": "No order of the operations explains all answers.",
    "G0": "Two transactions overwrote each other in opposite orders.",
    "G1a": "A transaction read a value of a transaction that was aborted.",
    "G1b": "A transaction read a value that its writer had not finished.",
    "G1c": "Transactions depend on each other in a circle of writes and reads.",
    "G-single": "A transaction missed a write that it must have seen (read skew).",
    "G-nonadjacent": "A transaction missed writes that it must have seen, in more than one place.",
    "G2-item": "Two transactions each missed the write of the other (write skew).",
    "write-skew": "Two transactions each missed the write of the other, and together broke a rule.",
    "internal": "A transaction contradicts itself: a read misses the transaction's own earlier write.",
    "incompatible-order": "Two reads show the elements of one list in different orders.",
    "fractured-read": _READ_ONLY_PART,
    "long-fork": "Two reads saw two writes in opposite orders.",
    "wrong-total": "The sum of all accounts changed.",
    "negative-balance": "An account became negative.",
    "diverged": "Replicas hold different data after they had time to agree.",
    "state-diverged": "Replicas that applied the same entries hold different data.",
    "states-differ": "Nodes report different states at the end.",
    "final-reads-differ": "Clients at different nodes read different final values.",
    "not-converged": "The cluster did not agree in time after the last fault.",
    "no-recovery": "The cluster did not work again after a fault ended.",
    "slow-recovery": "The cluster took too long to work again after a fault ended.",
    "terms-grow": "Terms kept growing: no election lasts.",
}


def meaning(kind: str) -> str:
    """The sentence of a kind, or what its place between cause and consequence says of it."""
    plain = kind.removesuffix("-realtime").removesuffix("-process")
    return (
        MEANINGS.get(kind) or MEANINGS.get(plain) or f"{kind.replace('-', ' ').capitalize()}: {STAGES[stage(kind)][0]}."
    )

"""Invariants of a Raft participant's state."""

from __future__ import annotations

from .configuration import is_single_step
from .state import CANDIDATE, LEADER, PRE_CANDIDATE, RaftState


def check(s: RaftState) -> None:
    """Assert all invariants of one node, in time linear in the log. Invariants of the whole cluster are checked from traces."""
    s.log.check()
    base, last = s.log.base_index, s.log.last_index
    assert base <= s.commit <= last, (base, s.commit, last)
    assert s.durable <= last and s.issued_last <= last, (s.durable, s.issued_last, last)
    assert s.term >= s.log.last_term, (s.term, s.log.last_term)
    assert s.snapshot is None or base <= s.snapshot.index <= s.commit, (base, s.commit)
    assert base == 0 or s.snapshot is not None
    _check_roles(s)
    _check_configs(s)
    for progress in s.progress.values():
        progress.check()
    assert len(s.reads_new) <= 2 * s.config.max_pending_requests + 8192


def _check_roles(s: RaftState) -> None:
    assert s.leading == (s.leader == s.me), (s.role, s.leader)
    assert s.leading == bool(s.progress) or not s.others, (s.role, s.progress)
    assert s.leading or not (s.reads_new or s.reads_round or s.handover or s.target)
    assert s.role not in (CANDIDATE, PRE_CANDIDATE) or s.leader is None
    assert not (s.torn and s.role in (CANDIDATE, LEADER))


def _check_configs(s: RaftState) -> None:
    indices = [index for index, _ in s.configs]
    assert indices == sorted(indices) and indices, indices
    assert indices[-1] <= s.log.last_index, (indices, s.log.last_index)
    for (_, before), (index, after) in zip(s.configs, s.configs[1:], strict=False):
        assert is_single_step(before, after) or s.flaws.any, (index, before, after)

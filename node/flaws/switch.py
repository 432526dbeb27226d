"""Named bugs, off by default, that show whether the checkers find them.

Each flaw is one field of `Flaws`, tested by `if` at the exact place where real systems had the bug. The registry `FLAWS` records what is broken,
where it was seen, and which checker must report it. A node with a flaw is for tests of the testbed, never for data.

    Flaws.from_names(["ack-before-majority"]).ack_before_majority is True
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from ..errors import ConfigError
from .flaw import Flaw
from .zoo import ZOO

FLAWS: dict[str, Flaw] = {flaw.name: flaw for flaw in ZOO}
HUNTED = tuple(name for name, flaw in FLAWS.items() if not flaw.campaign)
"""Flaws that random plans of the plain node can show."""
SHOWN = tuple(name for name, flaw in FLAWS.items() if flaw.campaign)
"""Flaws with a campaign of their own."""


@dataclass(frozen=True, slots=True)
class Flaws:
    stale_read_from_deposed_leader: bool = False
    ack_before_majority: bool = False
    quorum_of_live: bool = False
    wall_clock_lease: bool = False
    ack_before_fsync: bool = False
    no_client_dedup: bool = False
    vote_not_durable: bool = False
    no_noop_stale_read: bool = False
    commit_old_term_by_count: bool = False
    dup_vote_counted: bool = False
    no_log_freshness: bool = False
    readindex_context_reuse: bool = False
    commit_past_verified: bool = False
    weights_from_parity: bool = False
    term_vote_split_write: bool = False
    stale_vote_counted: bool = False
    stale_term_accepted: bool = False
    higher_term_in_reply_ignored: bool = False
    no_prevote_bridge_livelock: bool = False
    apply_before_persist: bool = False
    truncate_on_stale_append: bool = False
    no_truncate_tail: bool = False
    purged_prev_is_conflict: bool = False
    heartbeat_commit_unbounded: bool = False
    rejoin_same_term_progress: bool = False
    snapshot_torn_install: bool = False
    older_snapshot_installed: bool = False
    snapshot_without_voters: bool = False
    applied_index_not_atomic: bool = False
    dedup_table_not_in_snapshot: bool = False
    session_forgotten_at_snapshot: bool = False
    digest_skips_key: bool = False
    snapshot_misses_late_write: bool = False
    read_at_applied_not_commit: bool = False
    lease_drift_ignored: bool = False
    lease_not_checked_after_pause: bool = False
    lease_survives_transfer: bool = False
    fast_prevote_waives_lease: bool = False
    second_change_before_own_term_commit: bool = False
    config_not_rolled_back: bool = False
    checksum_mismatch_truncates_middle: bool = False
    torn_tail_trusted: bool = False
    fsync_error_ignored: bool = False
    failed_by_one_vote: bool = False
    incarnation_not_bumped: bool = False
    ghost_member: bool = False
    result_without_token_check: bool = False
    task_lost_on_failover: bool = False
    lost_worker_acknowledged: bool = False
    agent_epoch_unchecked: bool = False
    host_outlives_lease: bool = False
    two_hosts_after_switch: bool = False
    seeds_ignored: bool = False
    capacities_ignored: bool = False
    stop_and_copy: bool = False
    crdt_id_reuse: bool = False
    lww_tie: bool = False
    tombstone_collected_early: bool = False
    texts_overwrite: bool = False
    follower_reads_unanswered: bool = False
    torn_tail_refused: bool = False
    compacted_log_unbootable: bool = False
    change_acknowledged_unchanged: bool = False
    reads_vanish_at_deposition: bool = False
    leader_never_steps_down: bool = False
    snapshot_never_taken: bool = False

    refused_transaction_keeps_part: bool = False
    transaction_blind_to_itself: bool = False
    sequential_read_behind_session: bool = False
    changes_of_voters_overlap: bool = False
    weights_jump: bool = False
    voters_adopted_at_commit: bool = False
    prevote_counts_as_vote: bool = False
    memory_answered_before_fsync: bool = False
    lease_from_answer: bool = False
    ledger_not_in_snapshot: bool = False
    late_answer_of_an_earlier_life: bool = False
    probe_never_repeated: bool = False
    snapshot_chunk_never_repeated: bool = False
    answered_by_index_alone: bool = False
    deletion_beats_concurrent_change: bool = False
    migration_misses_late_changes: bool = False
    slot_leaks_at_switch: bool = False
    failed_task_counts_as_done: bool = False
    quorum_of_one_answer: bool = False
    memory_read_before_applied: bool = False
    commit_counts_learners: bool = False
    read_confirmed_by_learners: bool = False
    handover_never_given_up: bool = False
    change_acknowledged_uncommitted: bool = False
    segment_name_not_durable: bool = False
    vote_lost_at_compaction: bool = False
    unknown_reported_as_failed: bool = False
    value_changed_in_place: bool = False
    vector_skips_a_gap: bool = False
    counter_added_on_join: bool = False
    sync_counted_before_its_end: bool = False
    health_never_recovers: bool = False
    suspicion_restarts: bool = False
    restart_votes_within_lease: bool = False
    conflicting_tail_survives_snapshot: bool = False
    reconfigures_into_no_quorum: bool = False

    @classmethod
    def from_names(cls, names: Iterable[str]) -> Flaws:
        """Read names as in `FLAWS`. Raises `ConfigError` for an unknown one."""
        chosen = {}
        for name in names:
            if name not in FLAWS:
                raise ConfigError(f"flaws: there is no flaw {name!r}", f"the flaws are {', '.join(FLAWS)}")
            chosen[name.replace("-", "_")] = True
        return cls(**chosen)

    @property
    def any(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))

"""Recovery: reads the files found at boot and returns the state that they prove.

Every segment begins with all that is needed (base, term and vote, doubt, remaining entries), so the newest intact one is enough. A damaged last batch
is left out and sets `torn`: it may have held entries or a vote that this node acknowledged. The next segment records this doubt, so the node is still
in doubt after a second crash. Any other damage raises `CorruptionError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...bounded import REACHABLE
from ...errors import CorruptionError
from ...flaws.switch import Flaws
from ..interface.entry import Entry
from .snapshot_file import FILE, TEMPORARY, Snapshot, parse_snapshot
from .wal import Base, Cut, Damage, Doubt, Hard, Record, Scan, encode_batch, encode_record, scan

NO_FLAWS = Flaws()
_FIRST_BATCH = len(encode_batch([encode_record(record) for record in (Base(0, 0), Hard(0, ""), Doubt(None))]))
"""Bytes that a new node writes before it takes part in anything."""
_HINT = (
    "do not repair it by hand: empty this node's data directory and let the leader fill it again, or restore a backup"
)


@dataclass(slots=True)
class Recovered:
    """State recovered from disk. None of it is known to be durable: a killed process leaves writes that no fsync has followed.

    `known` is the highest index that this log is known to have reached. A torn node counts as whole again only when its log reaches beyond `known`.
    `current` is the segment that was read. `segments` are all that exist, oldest first; `segment` is the number of the last one. `stale` are other
    files to remove.
    """

    snapshot: Snapshot | None = None
    term: int = 0
    vote: str = ""
    base_index: int = 0
    base_term: int = 0
    entries: list[Entry] = field(default_factory=list)
    segment: int = 0
    current: str | None = None
    segments: list[str] = field(default_factory=list)
    torn: bool = False
    known: int = 0
    stale: list[str] = field(default_factory=list)


def segment_name(number: int) -> str:
    return f"wal-{number:08d}.log"


def recover(files: Mapping[str, bytes], flaws: Flaws = NO_FLAWS) -> Recovered:
    state = Recovered()
    if FILE in files:
        try:
            state.snapshot = parse_snapshot([files[FILE]], FILE)
        except CorruptionError:
            if flaws.snapshot_torn_install:
                return Recovered(segment=1 << 20, stale=[name for name in sorted(files) if _own(name)])
            raise
    if TEMPORARY in files:
        state.stale.append(TEMPORARY)
    segments = sorted(filter(_segment, files))
    _read_newest(state, files, segments, flaws)
    _join_snapshot(state)
    _judge_terms(state)
    return state


def _segment(name: str) -> bool:
    return name.startswith("wal-") and name.endswith(".log")


def _own(name: str) -> bool:
    """Select this module's files: other machines keep files in this directory too."""
    return name in (FILE, TEMPORARY) or _segment(name)


def _read_newest(state: Recovered, files: Mapping[str, bytes], segments: list[str], flaws: Flaws) -> None:
    """Replay the newest segment whose first batch is intact. A newer one was only just begun."""
    newest = len(segments) - 1
    state.segments = segments
    state.segment = _number(segments[newest]) if segments else 0
    scanned: Scan | None = None
    for position in range(newest, -1, -1):
        found = scan(files[segments[position]])
        if not flaws.checksum_mismatch_truncates_middle:
            _refuse_middle(segments[position], found)
        if found.batches > 0:
            scanned = found
            break
        state.torn = state.torn or found.damage is Damage.TAIL
    else:
        _nothing_intact(state, files, segments)
        return
    name = state.current = segments[position]
    doubt = _replay(state, name, scanned.records)
    if flaws.torn_tail_refused and scanned.damage is Damage.TAIL:
        raise CorruptionError(f"{name}: {scanned.detail}", _HINT)
    state.torn = state.torn or scanned.damage is Damage.TAIL or doubt is not None
    if flaws.compacted_log_unbootable and state.base_index:
        raise CorruptionError(f"{name}: the log begins after index {state.base_index}, not at its beginning", _HINT)
    state.known = max(doubt or 0, state.base_index + len(state.entries))


def _refuse_middle(name: str, found: Scan) -> None:
    if found.damage is Damage.MIDDLE:
        raise CorruptionError(f"{name}: {found.detail}, and intact batches follow it", _HINT)


def _nothing_intact(state: Recovered, files: Mapping[str, bytes], segments: list[str]) -> None:
    """Handle a directory without a readable segment: a fresh node, or one that crashed in its first batch, which holds no vote and no entry yet.

    If the file is longer than that batch, more was written. Then acknowledged votes and entries are lost with it.
    """
    state.torn = any(len(files[name]) > _FIRST_BATCH for name in segments)
    if state.snapshot is not None:
        raise CorruptionError(
            "there is a snapshot but no intact log segment (wal-*.log) with the node's term and vote", _HINT
        )
    if segments and segments[-1] != segment_name(1):
        raise CorruptionError(f"{segments[-1]} is not readable and no other segment is left", _HINT)


def _number(name: str) -> int:
    try:
        return int(name[4:-4])
    except ValueError:
        raise CorruptionError(
            f"{name} is not a log segment's name", "move foreign files out of the data directory"
        ) from None


def _replay(state: Recovered, name: str, records: list[Record]) -> int | None:
    """Replay records; return the recorded doubt that was not lifted."""
    if not records or not isinstance(records[0], Base):
        raise CorruptionError(f"{name}: the segment does not begin with its base", _HINT)
    entries = state.entries
    doubt: int | None = None
    for record in records:
        if isinstance(record, Base):
            state.base_index, state.base_term = record.index, record.term
        elif isinstance(record, Hard):
            state.term, state.vote = record.term, record.vote
        elif isinstance(record, Doubt):
            doubt = record.known
        else:
            keep = record.index - state.base_index - 1
            if not 0 <= keep <= len(entries):
                last = state.base_index + len(entries)
                raise CorruptionError(f"{name}: a record of index {record.index} follows index {last}", _HINT)
            del entries[keep:]
            if not isinstance(record, Cut):
                entries.append(record)
    return doubt


def _judge_terms(state: Recovered) -> None:
    """Check terms and indices. Files of two nodes, or of two backups, may each be intact and yet contradict each other."""
    last = state.base_term
    for entry in state.entries:
        if entry.term < last:
            raise CorruptionError(f"entry {entry.index} of term {entry.term} follows term {last}", _HINT)
        last = entry.term
    if state.term < last:
        # A snapshot may be durable before the term in which it came: no vote was cast in that term.
        state.term, state.vote = last, ""
    if max(state.term, state.base_index + len(state.entries)) >= REACHABLE:
        raise CorruptionError(f"term {state.term}, or the index, is beyond what any log reaches", _HINT)


def _join_snapshot(state: Recovered) -> None:
    """Drop what the snapshot covers. A log that does not hold the snapshot's last entry is older than it, or forked from it."""
    snapshot = state.snapshot
    covered = snapshot.index if snapshot is not None else 0
    if covered < state.base_index:
        raise CorruptionError(
            f"the log begins after index {state.base_index} but the snapshot ends at {covered}", _HINT
        )
    if snapshot is None:
        return
    if covered == state.base_index:
        if snapshot.term != state.base_term:
            raise CorruptionError(
                f"the snapshot ends in term {snapshot.term}, and the log begins after term {state.base_term}", _HINT
            )
        return
    position = covered - state.base_index - 1
    if position < len(state.entries) and state.entries[position].term == snapshot.term:
        state.entries = state.entries[position + 1 :]
    else:
        state.entries = []
    state.base_index, state.base_term = covered, snapshot.term

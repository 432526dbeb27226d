"""Recovery of the memory: reads its files found at boot and returns their records and the version vector that they prove. Pure and total: damage is
reported, not raised.

The chain is the newest intact snapshot and the deltas that follow it, each naming the one before. It covers the log up to a certain frame; the later
frames are read one by one. Records of frames and deltas after a gap are still used. Their vector depends on a frame or delta that is lost, so the
proven vector is the one before the gap.

Damaged data may be readable again at a later boot, together with data that was written meanwhile. So an incarnation that may not see everything
chooses its first frame number beyond all numbers that can be hidden; it derives it from the number of its start. After a gap it also begins with a
checksum of its own, which no older frame continues: the vector of those older frames depends on frames that this incarnation never had.

The removal of collected records needs an order: a state from before the removal is dropped, even if the part of the log in between is lost. So each
part has a position, which is the last frame that it covers.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ....errors import CorruptionError
from ...interface.value import frozen
from ..records.trmm import Header, Item, Key, checksum, decode, verify
from ..records.vector import joined
from .log import Frame, checked_vector, read_frame, scan

SNAPSHOT, BACKUP, TEMPORARY = "memory.trmm", "memory.trmm.bak", "memory.tmp"
LONGEST = 1 << 32
"""More frames than one life writes."""
MARK = "files"
"""Entry of a file's metadata that belongs to the writer."""
_SEGMENT = re.compile(r"memory-log-(\d{8,12})\.trml")
_DELTA = re.compile(r"memory-delta-(\d{8,12})\.trmd")


@frozen
class Mark:
    """Position of a snapshot or delta: it covers the log up to frame `frame`, whose checksum is `checksum`, and all deltas up to number `delta`. The
    log still has all frames from `first` on.
    """

    frame: int
    checksum: int
    delta: int
    first: int


@frozen
class Part:
    """Content of one frame or file: removals first, then records. `position` is the last frame that it covers."""

    position: int
    records: list[Item]
    removed: list[Key]


@dataclass(slots=True)
class Found:
    """Result of the recovery. `records` must be joined, in any order; a key may repeat. They include no record of `removed`. `metadata` holds the
    proven version vector as `vector`.

    `damaged` names each place that differs from what was written. `torn` is damage at the end of the log. A crash damages only data that was being
    written and was not yet acknowledged, but the bytes do not prove that it was not acknowledged. `whole`: nothing that was written is missing,
    because other files replace any damaged data. Only a loss from the log's end that falls on the end of a frame is never noticed.

    The other fields are for the writer. No data found is known to be durable: a killed process may leave writes without an fsync.
    """

    records: list[Item] = field(default_factory=list)
    removed: list[Key] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)
    torn: str | None = None
    whole: bool = True

    head: int | None = None
    """Checksum of the chain's last file, for the next delta to name; None when a snapshot has to come first."""
    deltas: int = 0
    """Number of deltas in the chain."""
    fresh: dict[Key, None] = field(default_factory=dict)
    gone: dict[Key, None] = field(default_factory=dict)
    """Keys changed, and collected, since the chain's last file."""
    frame: int = 0
    checksum: int = 0
    """Checksum of the last frame, intact or covered; after a gap, this life's own."""
    skip: int = 0
    """Numbers that the next frame skips, for frames that may be hidden."""
    segments: list[tuple[str, int | None]] = field(default_factory=list)
    """Names, oldest first, each with the number of its first intact frame."""
    segment: int = 0
    """Number of the last segment."""
    current: str | None = None
    """The segment to continue; None when a new one must be begun."""
    delta_files: list[tuple[str, int]] = field(default_factory=list)
    delta: int = 0
    """Number of the last delta, whether it still exists or not."""
    snapshot: Mark | None = None
    backup: Mark | None = None
    """The intact snapshots; the second only when the first is not intact."""
    stale: list[str] = field(default_factory=list)


def segment_name(number: int) -> str:
    return f"memory-log-{number:08d}.trml"


def delta_name(number: int) -> str:
    return f"memory-delta-{number:08d}.trmd"


def recover(files: Mapping[str, bytes], life: int = 0) -> Found:
    """Recover the memory. `files` are all files of the data directory, by name; those of other machines are ignored. `life` is the number of this
    start, which no other start has.
    """
    found = Found(stale=[TEMPORARY] if TEMPORARY in files else [])
    covered, written = _chain(found, files)
    framed = _log(found, files, covered, life)
    _join(found, [*framed, *written], covered.frame)
    if found.damaged or found.torn:
        found.head = None
    return found


def _chain(found: Found, files: Mapping[str, bytes]) -> tuple[Mark, list[Part]]:
    """Read the newest intact snapshot and all later deltas. Returns what the chain covers, and what all of them give."""
    covered = Mark(0, 0, 0, 1)
    parts: list[Part] = []
    found.snapshot = _read(found, files, SNAPSHOT, parts)
    if found.snapshot is None:
        found.backup = _read(found, files, BACKUP, parts)
    else:
        _verify(found, files, BACKUP)
    if found.snapshot is not None:
        covered, found.head = found.snapshot, checksum(files[SNAPSHOT])
    elif found.backup is not None:
        # Older files may have been removed since this one was written.
        covered, found.head = replace(found.backup, first=found.backup.frame + 1), checksum(files[BACKUP])
    found.delta = covered.delta
    for number, name in _numbered(_DELTA, files):
        found.delta_files.append((name, number))
        found.delta = max(found.delta, number)
        header = _verify(found, files, name)
        if header is None or number <= covered.delta:
            continue
        follows = header.base is not None and header.base == found.head
        mark = _read(found, files, name, parts, follows)
        if mark is not None and follows:
            covered, found.head = replace(mark, first=covered.first), header.checksum
            found.deltas += 1
        elif mark is not None:
            found.damaged.append(f"{name}: the file that it follows is not here")
    return covered, parts


def _verify(found: Found, files: Mapping[str, bytes], name: str) -> Header | None:
    """Return the header of a TRMM file, if it exists and is intact."""
    try:
        return verify(files[name], name) if name in files else None
    except CorruptionError as error:
        found.damaged.append(error.message)
        return None


def _read(found: Found, files: Mapping[str, bytes], name: str, parts: list[Part], proves: bool = True) -> Mark | None:
    """Add the content of a TRMM file, if it exists and is intact. Its metadata counts if it `proves` it."""
    if name not in files:
        return None
    try:
        trmm = decode(files[name], name)
        metadata = dict(trmm.metadata)
        mark = _mark(metadata.pop(MARK, None))
        checked_vector(metadata.get("floor", {}))
        vector = joined(found.metadata.get("vector", {}), checked_vector(metadata.get("vector", {})))
    except CorruptionError as error:
        found.damaged.append(error.message)
        return None
    except ValueError as error:
        found.damaged.append(f"{name}: {error}")
        return None
    parts.append(Part(mark.frame, list(trmm.records), list(trmm.removed)))
    if proves:
        found.metadata = {**metadata, "vector": vector}
    return mark


def _mark(value: object) -> Mark:
    if isinstance(value, list) and len(value) == 4 and all(type(number) is int for number in value):
        return Mark(*value)
    raise ValueError(f"its mark is {str(value)[:80]}, not four numbers")


def _log(found: Found, files: Mapping[str, bytes], covered: Mark, life: int) -> list[Part]:
    """Read the frames that the chain does not cover. Those that follow it without a gap move the vector."""
    run = last = (covered.frame, covered.checksum)
    before: Frame | None = None
    parts: list[Part] = []
    vector: dict[str, int] = found.metadata.get("vector", {})
    for name, frame in _frames(found, files):
        if not _follows(frame, before, covered):
            after = "" if before is None else f", and comes after frame {before.number}"
            found.damaged.append(
                f"{name}: frame {frame.number} at byte {frame.at} does not follow what is before it{after}"
            )
        before = frame
        if frame.number <= covered.frame:
            continue
        last = max(last, (frame.number, frame.checksum))
        try:
            change = read_frame(frame)
        except ValueError as error:
            found.damaged.append(f"{name}: {error}")
            continue
        parts.append(Part(frame.number, change.records, change.removed))
        found.metadata.update(change.metadata)
        if frame.number > run[0] and frame.previous == run[1]:
            run = (frame.number, frame.checksum)
            vector = joined(vector, change.vector)
    newest = 0 if before is None else before.number
    if newest < covered.frame:
        found.damaged.append(f"the log ends at frame {newest}, and frame {covered.frame} was in it")
    elif run != last:
        found.damaged.append(f"the log is without a gap up to frame {run[0]} only, and frame {last[0]} is the last")
    found.metadata["vector"] = vector
    found.whole = found.torn is None and run == last and newest >= covered.frame
    found.frame, found.checksum = last
    if not found.whole:
        found.skip = max(0, life * LONGEST - found.frame)
    if run != last:
        found.checksum = zlib.crc32(b"life %d after frame %d, %d" % (life, *last))
    if found.segments and found.whole:
        found.current = found.segments[-1][0]
    return parts


def _follows(frame: Frame, before: Frame | None, covered: Mark) -> bool:
    """Return whether a frame follows another; numbers between the two may be skipped."""
    if frame.number > covered.frame and frame.previous == covered.checksum:
        return True
    if before is None:
        return frame.number <= covered.first
    return frame.number > before.number and frame.previous == before.checksum


def _frames(found: Found, files: Mapping[str, bytes]) -> Iterator[tuple[str, Frame]]:
    """Return all intact frames, segment by segment. Damage with no intact frame after it is the log's torn end."""
    open_end: list[str] = []
    for number, name in _numbered(_SEGMENT, files):
        scanned = scan(files[name])
        places = [f"{name}: {what}" for _, what in scanned.damage]
        if scanned.frames:
            inside = len(places) - scanned.torn
            found.damaged += [*open_end, *places[:inside]]
            open_end = places[inside:]
        else:
            open_end += places
        found.segments.append((name, scanned.frames[0].number if scanned.frames else None))
        found.segment = number
        for frame in scanned.frames:
            yield name, frame
    if open_end:
        found.torn = open_end.pop()
        found.damaged += open_end


def _join(found: Found, parts: list[Part], covered: int) -> None:
    """Keep what no later part has removed. `parts` that cover the same frame are in the order in which they were written."""
    records: dict[Key, list[Item]] = {}
    removed: dict[Key, None] = {}
    for part in sorted(parts, key=lambda part: part.position):
        for key in part.removed:
            records.pop(key, None)
            removed[key] = None
        for item in part.records:
            key = item[:2]
            removed.pop(key, None)
            records.setdefault(key, []).append(item)
        if part.position > covered:
            for key in part.removed:
                found.fresh.pop(key, None)
                found.gone[key] = None
            found.fresh.update(dict.fromkeys(item[:2] for item in part.records))
    found.records = [item for items in records.values() for item in items]
    found.removed = list(removed)


def _numbered(form: re.Pattern[str], files: Mapping[str, bytes]) -> list[tuple[int, str]]:
    """Return (number, name) of the files whose names have this form, by number."""
    matches = [match for match in map(form.fullmatch, files) if match is not None]
    return sorted((int(match[1]), match[0]) for match in matches)

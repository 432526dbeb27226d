"""Damage to stored data, and its repair; done while the process that uses the disk is down.

All damage is first recorded with the old bytes, synced, in the disk's state directory. So it can be reported, and repaired by any later
process, also after the daemon died. A repair changes only bytes that are still as the damage left them.
"""

from __future__ import annotations

import json
import os
import shutil
from random import Random
from typing import Any

from ..state.store import write_durably
from .tree.nodes import File
from .tree.tree import Tree

Json = dict[str, Any]
SECTOR = 512
AROUND = 32
"""This many bytes on both sides must be unchanged; otherwise a repair of one bit could mistake a byte that was written since for the damaged one."""


class Decay:
    """`state` is a directory that no fault affects."""

    def __init__(self, tree: Tree, state: str) -> None:
        self._tree, self._state = tree, state

    def records(self) -> list[Json]:
        """Damage that was not repaired: file, offset, the old and the new bytes in hex; `still`: they were not overwritten since."""
        return [{**record, "still": _still_damaged(self._tree, record)} for record in self._read("damage.json")]

    def damage(self, ident: str, effect: str, draw: int) -> list[Json]:
        """Do one piece of random damage; nothing if there is nothing to damage, or if this damage was done before."""
        if any(record["id"] == ident for record in self._read("damage.json")):
            return []
        tree, random = self._tree, Random(draw)
        # What a killed process had written is written back sooner or later.
        tree.sync_all()
        files = [(path, file) for path, file in tree.files() if file.size]
        made = {"bit-rot": _rot, "misdirected-write": _misdirect, "truncate": _cut}[effect](tree, files, random)
        records = [{"id": ident, "effect": effect, **one} for one in made]
        self._write("damage.json", [*self._read("damage.json"), *records])
        for record in records:
            _put(tree, record, "damaged")
        tree.renew()
        return records

    def repair(self, idents: list[str]) -> list[Json]:
        """Repair these, latest first, if nothing was overwritten since. Return the repaired ones; the others are forgotten too."""
        chosen = [record for record in self._read("damage.json") if record["id"] in idents]
        if chosen:
            self._tree.sync_all()
        repaired = []
        for record in reversed(chosen):
            if _still_damaged(self._tree, record):
                _put(self._tree, record, "pristine")
                repaired.append(record)
        if repaired:
            self._tree.renew()
        self._write("damage.json", [record for record in self._read("damage.json") if record["id"] not in idents])
        return repaired

    # Whole disks

    @property
    def forgot(self) -> bool:
        """Whether this disk was ever emptied, or reset to an earlier state: the promises of its owner since then are lost."""
        return bool(self._read("forgot.json"))

    def wipe(self) -> int:
        """Empty the disk. Return how many files there were."""
        self._write("forgot.json", ["wiped"])
        self._tree.crash()
        files = self._tree.files()
        for path, _ in files:
            os.unlink(path, dir_fd=self._tree.backing)
        self._tree.renew()
        return len(files)

    def back_up(self, ident: str) -> int:
        """Copy every file as a power loss now would leave it. Return how many there are."""
        folder = os.path.join(self._state, f"backup-{ident}")
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder)
        copied: list[str] = []
        for path, content in _durable(self._tree).items():
            with open(os.path.join(folder, str(len(copied))), "wb") as file:
                file.write(content)
            copied.append(path)
        write_durably(os.path.join(folder, "names.json"), json.dumps(copied))
        return len(copied)

    def restore(self, ident: str) -> int:
        """Replace all files by those of the backup. Return how many differ from the replaced ones."""
        folder = os.path.join(self._state, f"backup-{ident}")
        if not os.path.exists(os.path.join(folder, "names.json")):
            return 0
        with open(os.path.join(folder, "names.json")) as file:
            names: list[str] = json.load(file)
        self._write("forgot.json", ["restored"])
        self._tree.crash()
        before = _durable(self._tree)
        after = {}
        for position, path in enumerate(names):
            with open(os.path.join(folder, str(position)), "rb") as file:
                after[path] = file.read()
        for path in before.keys() - after.keys():
            os.unlink(path, dir_fd=self._tree.backing)
        for path, content in after.items():
            if before.get(path) != content:
                _replace(self._tree, path, content)
        self._tree.renew()
        return sum(before.get(path) != after.get(path) for path in before.keys() | after.keys())

    def drop_backup(self, ident: str) -> bool:
        folder = os.path.join(self._state, f"backup-{ident}")
        there = os.path.exists(folder)
        shutil.rmtree(folder, ignore_errors=True)
        return there

    def _read(self, name: str) -> list[Any]:
        try:
            with open(os.path.join(self._state, name)) as file:
                content: list[Any] = json.load(file)
                return content
        except FileNotFoundError:
            return []

    def _write(self, name: str, content: list[Any]) -> None:
        write_durably(os.path.join(self._state, name), json.dumps(content))


def torn(tree: Tree, random: Random) -> Json:
    """Write a part of the last unsynced write to the disk: a prefix, or some of its sectors.

    Earlier writes to that file are written completely, and everything else that is pending is lost; with a journal, names are not lost. If nothing is
    pending, nothing is torn.
    """
    tree.settle()
    candidates = [(file.mtime_ns, path, file) for path, file in tree.files() if file.homes and _writes(file)]
    if not candidates:
        return tree.crash()
    _, path, file = max(candidates, key=lambda candidate: candidate[:2])
    position, last = _writes(file)[-1]
    content = bytearray(tree.read_durable(file))
    for change in file.pending[:position]:
        _apply(content, change.offset, change.data)
    kept = _torn_parts(last.offset, last.data or b"", random)
    lost = len(last.data or b"") - sum(len(part) for _, part in kept)
    for offset, part in kept:
        _apply(content, offset, part)
    place = file.path
    lost_power = tree.crash()
    _replace(tree, place, bytes(content))
    tree.renew()
    return {**lost_power, "file": path, "offset": last.offset, "length": len(last.data or b""), "torn_bytes": lost}


def _writes(file: File) -> list[tuple[int, Any]]:
    return [(at, change) for at, change in enumerate(file.pending) if change.data]


def _torn_parts(offset: int, data: bytes, random: Random) -> list[tuple[int, bytes]]:
    """Return a part: never the whole, and not nothing unless it is a single byte."""
    starts = [0, *range(SECTOR - offset % SECTOR, len(data), SECTOR)]
    if len(starts) < 3 or random.random() < 0.5:
        return [(offset, data[: random.randrange(min(1, len(data) - 1), len(data))])]
    missing = set(random.sample(range(len(starts)), random.randrange(1, len(starts))))
    ends = [*starts[1:], len(data)]
    return [(offset + a, data[a:b]) for at, (a, b) in enumerate(zip(starts, ends, strict=True)) if at not in missing]


def _apply(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del content[offset:]
    content.extend(bytes(max(0, offset - len(content))))
    if data is not None:
        content[offset : offset + len(data)] = data


def _rot(tree: Tree, files: list[tuple[str, File]], random: Random) -> list[Json]:
    """Flip one bit, chosen uniformly."""
    total = sum(file.size for _, file in files)
    at = random.randrange(total) if total else 0
    for path, file in files:
        if at < file.size:
            pristine = tree.read(file, at, 1)
            return [_record(tree, path, file, at, pristine, bytes([pristine[0] ^ 1 << random.randrange(8)]))]
        at -= file.size
    return []


def _misdirect(tree: Tree, files: list[tuple[str, File]], random: Random) -> list[Json]:
    """Write a sector to the place of another: its own place has zeros, as if it had never been written. Skips sectors that no system could miss."""
    sectors = [(path, file, at) for path, file in files for at in range(0, file.size - SECTOR + 1, SECTOR)]
    if len(sectors) < 2:
        return []
    known = [(path, file, at) for path, file, at in sectors if not _ends_there(tree, file, at)]
    if not known:
        return []
    path, file, at = random.choice(known)
    other_path, other, other_at = random.choice([sector for sector in sectors if sector[1:] != (file, at)])
    meant, overwritten = tree.read(file, at, SECTOR), tree.read(other, other_at, SECTOR)
    return [
        _record(tree, other_path, other, other_at, overwritten, meant),
        _record(tree, path, file, at, meant, bytes(SECTOR)),
    ]


def _ends_there(tree: Tree, file: File, at: int) -> bool:
    """Return whether the file, when cut here, looks as if the later writes had never happened, so that no system could notice."""
    return at in file.ends and not any(tree.read(file, at + SECTOR, file.size))


def _cut(tree: Tree, files: list[tuple[str, File]], random: Random) -> list[Json]:
    """Remove the end of the file that was written last: less than a sector, and not exactly at the end of a write.

    A cut there looks as if the later writes had never happened: no system could notice, and those it acknowledged would be forgotten.
    """
    if not files:
        return []
    path, file = max(files, key=lambda found: (found[1].mtime_ns, found[0]))
    sizes = [size for size in range(max(0, file.size - SECTOR + 1), file.size) if size and size not in file.ends]
    if not sizes:
        return []
    size = random.choice(sizes)
    return [_record(tree, path, file, size, tree.read(file, size, file.size - size), b"")]


def _record(tree: Tree, path: str, file: File, offset: int, pristine: bytes, damaged: bytes) -> Json:
    """Return the record of damage. A whole sector is identified by its own bytes; a part of one also by the bytes around it."""
    around = AROUND if len(damaged) < SECTOR else 0
    start, end = max(0, offset - around), offset + len(pristine)
    return {
        "file": path,
        "offset": offset,
        "pristine": pristine.hex(),
        "damaged": damaged.hex(),
        "before": tree.read(file, start, offset - start).hex(),
        "after": tree.read(file, end, around).hex() if damaged else "",
    }


def _still_damaged(tree: Tree, record: Json) -> bool:
    content = _durable(tree).get(record["file"])
    if content is None:
        return False
    before, after, damaged = (bytes.fromhex(record[name]) for name in ("before", "after", "damaged"))
    start = record["offset"] - len(before)
    if not damaged:
        return len(content) == record["offset"] and content[start:] == before
    return content[start : start + len(before + damaged + after)] == before + damaged + after


def _put(tree: Tree, record: Json, which: str) -> None:
    data, offset = bytes.fromhex(record[which]), record["offset"]
    descriptor = os.open(record["file"], os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=tree.backing)
    try:
        if data:
            os.pwrite(descriptor, data, offset)
        else:
            os.ftruncate(descriptor, offset)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _durable(tree: Tree) -> dict[str, bytes]:
    """Every file that has a durable name, with its durable bytes."""
    return {path: tree.read_durable(file) for path, file in tree.durable_files()}


def _replace(tree: Tree, path: str, content: bytes) -> None:
    descriptor = os.open(
        path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=tree.backing
    )
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Moves a wall clock in the vDSO of a running process, where Go and static programs read it, and so does a C library.

The three functions are led to a block (`clock_vdso.c`) in the unused end of the vDSO's last page; their old bytes stand in it. The pages are the process's own
once written (copy on write): no other process sees anything of it. A forked child has the block, too; after an exec the vDSO is a new one. What was
done can be seen, and undone, by anyone who finds the block: nothing need be remembered.

The undo restores the functions' bytes and leaves the block, unused: a thread may be inside it, also below a signal handler, which cannot be seen.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from . import clock, elf
from .stopping import CannotStop, stopped

FUNCTIONS = ("__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time")
MACHINE = "x86_64"
MAGIC = b"TRIBclk1"
OWNER, SAVED = struct.Struct("=QQ"), struct.Struct("=Q8s")
"""Whose it is and where the preloaded shim's flag is; where an entry is and what was there."""
FLAG = struct.Struct("=Q")
OWNER_AT = len(MAGIC)
SAVED_AT = OWNER_AT + OWNER.size
SETTING_AT = SAVED_AT + len(FUNCTIONS) * SAVED.size
WAYS_AT, WAY = SETTING_AT + clock.SIZE, 8
ALIGN = 16
LANDING = b"\xf3\x0f\x1e\xfa"
"""endbr64: an indirect call may have to meet it."""
JUMP = struct.Struct("<Bi")


@dataclass(frozen=True, slots=True)
class Image:
    """A process's vDSO as it is now: where it lies, its bytes, and where in it our block is, if it is there."""

    base: int
    data: bytes
    block_at: int | None

    @property
    def owner(self) -> int:
        """0 without a block."""
        return 0 if self.block_at is None else int(OWNER.unpack_from(self.data, self.block_at + OWNER_AT)[0])

    @property
    def flag_at(self) -> int:
        assert self.block_at is not None
        return int(OWNER.unpack_from(self.data, self.block_at + OWNER_AT)[1])

    @property
    def saved(self) -> list[tuple[int, bytes]]:
        """Where entries were led away, and what was there."""
        assert self.block_at is not None
        return [
            SAVED.unpack_from(self.data, self.block_at + SAVED_AT + SAVED.size * number)
            for number in range(len(FUNCTIONS))
        ]

    @property
    def led_away(self) -> int:
        """How many entries are."""
        return 0 if self.block_at is None else sum(self.data[at : at + len(old)] != old for at, old in self.saved)

    @property
    def each_move_at(self) -> int:
        """The address that is run once for each reading that is moved."""
        assert self.block_at is not None
        return self.base + self.block_at + WAYS_AT + WAY * len(FUNCTIONS)

    @property
    def setting(self) -> bytes | None:
        """What is in force here, as a clock file holds it; None where not every entry is led to it."""
        if self.block_at is None or self.led_away < len(FUNCTIONS):
            return None
        return self.data[self.block_at + SETTING_AT :][: clock.SIZE]


def owner_of(file: str) -> int:
    """A number for the owner that moves clocks by this file: what others have done is left alone."""
    return int.from_bytes(hashlib.sha256(os.path.abspath(file).encode()).digest()[:8], "little") or 1


def image_of(pid: int) -> Image | None:
    """None without a vDSO, as of a kernel thread. Raises `OSError` where the memory is not ours to read."""
    with open(f"/proc/{pid}/maps", errors="surrogateescape") as maps:
        line = next((line for line in maps if line.rstrip().endswith("[vdso]")), None)
    if line is None:
        return None
    base, end = (int(word, 16) for word in line.split()[0].split("-"))
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        data = os.pread(memory.fileno(), end - base, base)
    found = data.find(MAGIC)
    return Image(base, data, found if found >= 0 else None)


def move(pid: int, block: bytes, owner: int, setting: bytes, flag_at: int = 0) -> None:
    """Make the process's clock what `setting`, the content of a clock file, says. `flag_at`: where the preloaded shim learns of it. Raises `CannotStop`, `OSError`."""
    image = _image(pid)
    if image.led_away and image.owner != owner:
        raise CannotStop(f"another harness moves the clock of process {pid}")
    if image.setting == setting:
        return
    entries = _entries(image) if image.block_at is None else image.saved
    at = _room(image, len(block)) if image.block_at is None else image.block_at
    head = MAGIC + OWNER.pack(owner, flag_at) + b"".join(SAVED.pack(*entry) for entry in entries)
    spared = [range(image.base + entry + 1, image.base + entry + JUMP.size) for entry, _ in entries]
    with _changing(pid, image, spared) as memory:
        # The block first: an entry never leads to what is not there.
        os.pwrite(memory, head + setting + block[WAYS_AT:], image.base + at)
        for number, (entry, _) in enumerate(entries):
            os.pwrite(memory, _jump(entry, at + WAYS_AT + WAY * number), image.base + entry)
        if flag_at:
            os.pwrite(memory, FLAG.pack(1), flag_at)


def restore(pid: int, owner: int) -> bool:
    """Put the functions back, byte for byte; says whether any was led away by this owner."""
    image = image_of(pid)
    if image is None or not image.led_away or image.owner != owner:
        return False
    with _changing(pid, image, ()) as memory:
        for entry, old in image.saved:
            os.pwrite(memory, old, image.base + entry)
        if image.flag_at:
            os.pwrite(memory, FLAG.pack(0), image.flag_at)
    return True


def moved(owner: int) -> list[int]:
    """All processes here whose clock this owner moves."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            image = image_of(int(entry)) if entry.isdigit() else None
        except OSError:
            continue
        if image is not None and image.owner == owner and image.led_away:
            found.append(int(entry))
    return found


@contextmanager
def _changing(pid: int, image: Image, spared: Sequence[range]) -> Iterator[int]:
    """The process's memory, while it stands still outside of `spared`. The image must still be what it was: not after an exec."""
    with stopped(pid, spared):
        if image_of(pid) != image:
            raise CannotStop(f"process {pid} runs another program now")
        memory = os.open(f"/proc/{pid}/mem", os.O_RDWR)
        try:
            yield memory
        finally:
            os.close(memory)


def _image(pid: int) -> Image:
    image = image_of(pid)
    if image is None:
        raise CannotStop(f"process {pid} has no vDSO: it asks the kernel, or is none of this kernel's own kind")
    return image


def _entries(image: Image) -> list[tuple[int, bytes]]:
    """Where each function is to be led away, and what is there."""
    known = elf.parse(image.data)
    if known.machine != MACHINE:
        raise CannotStop(f"a vDSO of {known.machine}: only that of {MACHINE} is known here")
    missing = [name for name in FUNCTIONS if name not in known.symbols]
    if missing:
        raise CannotStop(f"the vDSO has no {missing[0]}")
    found = []
    for name in FUNCTIONS:
        at = known.symbols[name]
        at += len(LANDING) if image.data.startswith(LANDING, at) else 0
        found.append((at, image.data[at : at + 8]))
    return found


def _room(image: Image, size: int) -> int:
    at = -(-elf.parse(image.data).end // ALIGN) * ALIGN
    if at + size > len(image.data) or any(image.data[at:]):
        raise CannotStop(f"the vDSO has no {size} bytes free at its end")
    return at


def _jump(entry: int, to: int) -> bytes:
    return JUMP.pack(0xE9, to - entry - JUMP.size)

"""Move of a wall clock in the vDSO of a running process, which Go programs, static programs and the C library read.

The three functions are redirected to a block (`clock_vdso.c`) in the unused end of the vDSO's last page; the block stores their old bytes. The pages
belong to the process alone once written (copy on write): no other process sees the change. A forked child has the block too; after an exec the vDSO
is a new one. Any program that finds the block can see and undo the change, so no record is needed.

The undo restores the functions' bytes and leaves the block, unused: a thread may be inside it, or may return into it from a signal handler, which
cannot be seen.
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
"""Layout of the block's header (owner, address of the preloaded library's flag) and of an entry (its place and former bytes)."""
FLAG = struct.Struct("=Q")
OWNER_AT = len(MAGIC)
SAVED_AT = OWNER_AT + OWNER.size
SETTING_AT = SAVED_AT + len(FUNCTIONS) * SAVED.size
WAYS_AT, WAY = SETTING_AT + clock.SIZE, 8
ALIGN = 16
LANDING = b"\xf3\x0f\x1e\xfa"
"""endbr64: some processors require it at the target of an indirect call."""
JUMP = struct.Struct("<Bi")


@dataclass(frozen=True, slots=True)
class Image:
    """A process's vDSO as it is now: its address, its bytes, and the place of our block in it, if there is one."""

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
        """The places of redirected entries, and their former bytes."""
        assert self.block_at is not None
        return [
            SAVED.unpack_from(self.data, self.block_at + SAVED_AT + SAVED.size * number)
            for number in range(len(FUNCTIONS))
        ]

    @property
    def led_away(self) -> int:
        """The number of redirected entries."""
        return 0 if self.block_at is None else sum(self.data[at : at + len(old)] != old for at, old in self.saved)

    @property
    def each_move_at(self) -> int:
        """The address that is executed once for each changed reading."""
        assert self.block_at is not None
        return self.base + self.block_at + WAYS_AT + WAY * len(FUNCTIONS)

    @property
    def setting(self) -> bytes | None:
        """The active setting, in the form of a clock file; None if not every entry is redirected."""
        if self.block_at is None or self.led_away < len(FUNCTIONS):
            return None
        return self.data[self.block_at + SETTING_AT :][: clock.SIZE]


def owner_of(file: str) -> int:
    """A number for the owner of this clock file: changes of other owners are left alone."""
    return int.from_bytes(hashlib.sha256(os.path.abspath(file).encode()).digest()[:8], "little") or 1


def image_of(pid: int) -> Image | None:
    """Return the vDSO image of a process; None if it has none, as a kernel thread. Raises `OSError` if we may not read the memory."""
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
    """Change the process's clock to `setting`, the content of a clock file. `flag_at`: where the preloaded library is notified. Raises `CannotStop`,
    `OSError`.
    """
    image = _image(pid)
    if image.led_away and image.owner != owner:
        raise CannotStop(f"another harness changes the clock of process {pid}")
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
    """Restore the functions, byte for byte; return whether this owner had redirected any."""
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
    """All processes on this host whose clock this owner changes."""
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
    """The process's memory, while its threads are stopped outside of `spared`. Fails if the process has started another program since."""
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
        raise CannotStop(
            f"process {pid} has no vDSO: it calls the kernel directly, or does not have this kernel's architecture"
        )
    return image


def _entries(image: Image) -> list[tuple[int, bytes]]:
    """The place at which to redirect each function, and the bytes there."""
    known = elf.parse(image.data)
    if known.machine != MACHINE:
        raise CannotStop(f"the vDSO is for {known.machine}: only that for {MACHINE} is supported")
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

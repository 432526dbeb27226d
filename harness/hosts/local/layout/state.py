"""Files of labs, and the list of labs: alive (a supervisor holds the lock) or stale (its supervisor was killed).

/var/lib/tribulation/<lab>/             as root
$XDG_STATE_HOME/tribulation/<lab>/      as anybody else: ~/.local/state when unset, /var/tmp/tribulation-<uid> without a home of one's own
$TRI_LABS/<lab>/                        for all, when set
    lab.json key key.pub ssh/ etc/ hosts/<host>/{srv,var,console.log} supervisor.log supervisor.sock alive users kept groups
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NotRequired, TypedDict

import msgspec

from tribulation.histories.files.opening import open_regular

from ....errors import HostError
from ....wan import Regions
from .layout import ALIVE, DESCRIPTION, KEPT, MAX_NODES, USERS

MOST_BYTES = 1 << 20


_Few = Annotated[int, msgspec.Meta(ge=0, le=MAX_NODES)]


class _RegionsShape(TypedDict):
    sizes: dict[str, _Few]
    ways: dict[str, Annotated[list[int], msgspec.Meta(max_length=3)]]


class Settings(TypedDict):
    """`lab.json`. Only labs of emulated machines have the last three."""

    nodes: _Few
    user: NotRequired[str]
    lease_s: NotRequired[float]
    regions: NotRequired[_RegionsShape | None]
    clock: NotRequired[Literal["library", "system"]]
    accelerator: NotRequired[str]
    subnet: NotRequired[int]


@dataclass(frozen=True, slots=True)
class Lab:
    """One lab as found on disk. `nodes` is 0 when its description cannot be read; `regions` None: one network for all.

    `in_use`: a process works with it, or brings it up. `kept`: it was brought up to stay.
    """

    name: str
    directory: Path
    nodes: int
    alive: bool
    regions: Regions | None = None
    in_use: bool = False
    kept: bool = False

    @property
    def standing(self) -> str:
        """`in use` by a process; `up` to stay; `unused`: its process was killed, and the lease ends it; `stale`: its supervisor was killed too."""
        if self.in_use:
            return "in use"
        return "stale" if not self.alive else "up" if self.kept else "unused"


def default_directory() -> Path:
    """The directory of this user's labs. On a real disk: /run, and often /tmp, are memory, where an fsync costs nothing and proves nothing."""
    if os.environ.get("TRI_LABS"):
        return Path(os.environ["TRI_LABS"]).absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/tribulation")
    chosen = os.environ.get("XDG_STATE_HOME", "")
    state = Path(chosen) if chosen.startswith("/") else Path.home() / ".local" / "state"
    if _is_ours(state):
        return state / "tribulation"
    return Path(f"/var/tmp/tribulation-{os.geteuid()}")


def _is_ours(path: Path) -> bool:
    """Return whether `path`, or the first directory above it that exists (where it would be made), is this user's and writable."""
    while not path.exists():
        path = path.parent
    return os.access(path, os.W_OK | os.X_OK) and path.stat().st_uid == os.geteuid()


def private_directory(path: Path) -> Path:
    """Return `path`, made if necessary. Raises `HostError` when another user owns it or may read it: it holds keys."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise HostError(
            f"{path}: cannot hold labs: {error}", hint="name another directory, or make this one yours"
        ) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise HostError(
            f"{path}: must be a directory of yours alone, but belongs to uid {found.st_uid} with mode {stat.S_IMODE(found.st_mode):o}",
            hint=f"remove it, or: chown {os.geteuid()} {path} && chmod 700 {path}",
        )
    # Resolved: the supervisor compares it with mount points.
    return path.resolve()


def list_labs(directory: str | Path | None = None) -> list[Lab]:
    """List this user's labs, or those in `directory`, by name."""
    base = Path(directory) if directory else default_directory()
    try:
        names = sorted(entry.name for entry in base.iterdir() if (entry / DESCRIPTION).exists())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise HostError(
            f"{base}: cannot be listed: {error}", hint="labs belong to the user who brought them up"
        ) from None
    return [find_lab(base, name) for name in names]


def find_lab(base: Path, name: str) -> Lab:
    nodes, regions = 0, None
    with contextlib.suppress(OSError, HostError):
        settings = read_settings(base / name)
        nodes = settings["nodes"]
        regions = Regions.from_json(found) if (found := settings.get("regions")) else None
    lab = base / name
    return Lab(name, lab, nodes, is_alive(lab), regions, in_use(lab), (lab / KEPT).exists())


def read_settings(lab: Path) -> Settings:
    """Read `lab.json`. Raises `OSError`, and `HostError` for what no lab has written."""
    try:
        with open_regular(lab / DESCRIPTION) as file:
            return msgspec.json.decode(file.read(MOST_BYTES), type=Settings)
    except (ValueError, RecursionError) as error:
        raise HostError(
            f"{lab / DESCRIPTION}: not what a lab writes: {error}", hint=f"tri hosts down --name {lab.name} removes it"
        ) from error


def is_alive(lab: Path) -> bool:
    """Return whether a supervisor holds the lab's lock. A process id would not show it: another process may have it by now."""
    return _is_locked(lab / ALIVE, fcntl.LOCK_SH)


def in_use(lab: Path) -> bool:
    """Return whether a process uses the lab, or brings it up."""
    return _is_locked(lab / USERS, fcntl.LOCK_EX)


def _is_locked(path: Path, lock: int) -> bool:
    """Return whether the lock of another process excludes this one."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, lock | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def exclusive(base: Path, name: str, timeout_s: float) -> Iterator[None]:
    """Let one process at a time bring the lab `name` up or down. No file stays behind."""
    deadline_s = time.monotonic() + timeout_s
    path = base / f".{name}.lock"
    while (descriptor := _lock(path)) is None:
        if time.monotonic() > deadline_s:
            raise HostError(
                f"lab {name!r} is being brought up or down by another process for {timeout_s:g} s",
                hint="wait for the other tri command, or end it",
            )
        time.sleep(0.02)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def free_lock(path: Path) -> None:
    """Remove a lock's file unless a process holds the lock: it was left by a process that was killed."""
    if (descriptor := _lock(path)) is not None:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _lock(path: Path) -> int | None:
    """A descriptor that holds the lock. None while another process holds it, or did until now: the locked file must still be the one at `path`."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None

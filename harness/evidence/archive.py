"""One archive of a run's folder (tar, gzip): packed without private keys, unpacked within bounds and strictly below its folder.

    pack(run_dir, file)              # returns the names of files from which keys were removed, or that were omitted
    unpack(file, runs)               # returns the new folder, runs/<campaign>/<timestamp>

An archive is untrusted: links, devices and names that lead out of the folder are refused, and nothing of a refused archive is kept. Keys are removed
from logs, byte by byte, so that sizes stay. Other files are evidence, and a change would break their seal: a key there refuses the export.
"""

from __future__ import annotations

import errno
import fcntl
import gzip
import io
import json
import os
import re
import shutil
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from tribulation.histories.files.opening import open_regular
from tribulation.histories.files.replacing import is_temporary_of, refuse_special, replacing

from ..errors import CampaignError
from ..user_files.renamed import Words, current, written
from . import inside_folder
from .documents import required_document
from .seal import HISTORY_FILE
from .writing import writing

MOST_FILES = 50_000
MOST_BYTES = 16 << 30
"""The most bytes of an unpacked archive."""
ATTEMPTS = 100
"""To make and lock a folder, while other imports remove what was abandoned."""
LARGEST_READ = 1 << 16
"""The largest read at once; headers that need more are refused."""
_ELSEWHERE = "name another FILE, where there is space and which this user may write"
HEAD, RUN = "archive.json", "run/"
_STAGE = ".import-"
"""A folder being filled: the name begins so, and ends in the number of the process."""

_LEFT_OUT = re.compile(r"(\.pem|\.key|\.p12|\.pfx|\.keytab|/id_[a-z0-9]+|/\.env)$")
_BEGIN = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_END = re.compile(rb"-----END [A-Z0-9 ]*PRIVATE KEY-----")
_NO_NEWLINE = re.compile(rb"[^\n]")
_BLOCK, _LONGEST_MARK = 1 << 20, 100
_CAMPAIGN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_STAMP = re.compile(r"2\d{7}T\d{6}Z(-\d{1,4})?")
_DAMAGED = (
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    RecursionError,
    UnicodeError,
    ValueError,
    OverflowError,
)


def pack(run_dir: Path, file: Path) -> list[str]:
    """Pack a run's folder into an archive. Raises `CampaignError` if it is not a run's folder, or if a key cannot be removed."""
    run_dir = run_dir.resolve()
    if not (run_dir / HISTORY_FILE).is_file():
        raise CampaignError(
            f"{run_dir} is not a run's folder: it has no {HISTORY_FILE}", hint="`tri list runs` lists runs"
        )
    head = written({"campaign": _campaign_of(run_dir), "name": run_dir.name})
    changed = []
    with writing(file, _ELSEWHERE):
        refuse_special(file, links=False)
    with (
        writing(file, _ELSEWHERE),
        replacing(file) as out,
        gzip.GzipFile("", "wb", fileobj=out, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        _add(tar, HEAD, io.BytesIO(content := json.dumps(head).encode()), len(content))
        for name in _names(run_dir, file):
            if not _pack_one(tar, run_dir, name):
                changed.append(name)
    return changed


def _pack_one(tar: tarfile.TarFile, run_dir: Path, name: str) -> bool:
    """Pack one file; return whether it was packed unchanged."""
    if _LEFT_OUT.search(f"/{name}"):
        return False
    with _reading(run_dir / name):
        opened = open_regular(run_dir / name)
    with opened:
        source = cast(IO[bytes], _Source(opened, run_dir / name))
        has_key = _has_key(source)
        if has_key and not name.startswith("logs/"):
            raise CampaignError(
                f"{run_dir / name} has a private key, and cannot be changed without breaking the run's seal",
                hint="pack the folder by other means if its readers may see the key",
            )
        size = source.tell()
        source.seek(0)
        _add(tar, RUN + name, _WithoutKeys(source) if has_key else source, size)
    return not has_key


def unpack(file: Path, runs: Path, *, most_files: int = MOST_FILES, most_bytes: int = MOST_BYTES) -> Path:
    """Unpack an archive, and return the run's folder. Raises `CampaignError` for an archive that is damaged, too large, or not one of a run."""
    with _readable(file) as raw, gzip.GzipFile(fileobj=raw, mode="rb") as unpacked, _refusing(file):
        content = _Bounded(unpacked, most_bytes)
        tar = tarfile.open(fileobj=cast(IO[bytes], content), mode="r:")  # noqa: SIM115
        campaign, name = _head(tar)
        made = [folder for folder in (runs / campaign, runs) if not folder.exists()]
        with writing(runs):
            (runs / campaign).mkdir(parents=True, exist_ok=True)
            _remove_abandoned(runs)
            stage = runs / campaign / f"{_STAGE}{os.getpid()}"
            lock = _made_and_locked(stage)
        try:
            _fill(tar, stage, most_files)
            content.read_to_end()
            if not (stage / HISTORY_FILE).is_file():
                raise ValueError(f"it has no {HISTORY_FILE}")
            return _placed(stage, name)
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            with suppress(OSError):
                for folder in made:
                    folder.rmdir()
            raise
        finally:
            os.close(lock)


def _made_and_locked(stage: Path) -> int:
    """The lock of a new folder. Another import may remove the folder before it is locked."""
    for _ in range(ATTEMPTS):
        stage.mkdir(exist_ok=True)
        with suppress(FileNotFoundError, BlockingIOError):
            lock = _locked(stage)
            if os.fstat(lock).st_nlink:
                return lock
            os.close(lock)
    raise BlockingIOError(errno.EAGAIN, "another import has the folder", str(stage))


def _locked(stage: Path) -> int:
    """A descriptor that locks the folder until it is closed or the process ends, however it ends. Raises `BlockingIOError` if another process has the
    lock.
    """
    descriptor = os.open(stage, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _remove_abandoned(runs: Path) -> None:
    """Remove what imports that were killed left in `runs`. A folder with the lock of a running import stays."""
    for left in runs.glob(f"*/{_STAGE}*"):
        with suppress(OSError):
            lock = _locked(left)
            try:
                shutil.rmtree(left)
            finally:
                os.close(lock)


def _readable(file: Path) -> IO[bytes]:
    try:
        return open_regular(file)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise CampaignError(f"{file}: cannot be read: {why}", hint="name a file that `tri export` wrote") from error


def _campaign_of(run_dir: Path) -> str:
    facts = run_dir / "run.json"
    found = required_document(facts, "name a run's folder").get("campaign") if facts.exists() else None
    return found if isinstance(found, str) else run_dir.parent.name


def _names(run_dir: Path, file: Path) -> Iterator[str]:
    """Files below the folder, in order; the archive itself may be among them while it is written."""
    for place, folders, names in os.walk(run_dir):
        folders.sort()
        for name in sorted([*names, *(one for one in folders if os.path.islink(os.path.join(place, one)))]):
            path = Path(place, name)
            if path.parent == file.parent.resolve() and (name == file.name or is_temporary_of(file, name)):
                continue
            if path.is_symlink() or not path.is_file():
                raise CampaignError(
                    f"{path} is a link or a device, which no run makes", hint="remove it from the folder"
                )
            yield path.relative_to(run_dir).as_posix()


def _add(tar: tarfile.TarFile, name: str, source: Any, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    tar.addfile(info, source)


def _has_key(source: IO[bytes]) -> bool:
    """Return whether a file has a private key. The file is left at its end."""
    tail = b""
    while block := source.read(_BLOCK):
        if _BEGIN.search(tail + block):
            source.seek(0, os.SEEK_END)
            return True
        tail = (tail + block)[-_LONGEST_MARK:]
    return False


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Guards the reading of evidence, whose errors are not those of the archive."""
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise CampaignError(f"{path}: cannot be read: {why}", hint="see that the run's folder is whole") from error


@dataclass(frozen=True, slots=True)
class _Source:
    """A file of the run, while the archive is written."""

    file: IO[bytes]
    path: Path

    def read(self, size: int) -> bytes:
        with _reading(self.path):
            return self.file.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()


class _WithoutKeys:
    """A file, read with the text of each private key replaced by as many `x`. A key without an end marker extends to the end of the file."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._within = self._at_end = False
        self._held = self._ready = b""

    def read(self, size: int) -> bytes:
        while len(self._ready) < size and not self._at_end:
            block = self._source.read(_BLOCK)
            self._at_end = not block
            self._ready += self._cleaned(self._held + block)
        found, self._ready = self._ready[:size], self._ready[size:]
        return found

    def _cleaned(self, text: bytes) -> bytes:
        """All but the end of `text`, in which a mark may begin."""
        parts, at = [], 0
        while mark := (_END if self._within else _BEGIN).search(text, at):
            parts.append(self._shown(text[at : mark.end()]))
            at, self._within = mark.end(), not self._within
        end = len(text) if self._at_end else max(at, len(text) - _LONGEST_MARK)
        self._held = text[end:]
        return b"".join([*parts, self._shown(text[at:end])])

    def _shown(self, text: bytes) -> bytes:
        return _NO_NEWLINE.sub(b"x", text) if self._within else text


class _Bounded:
    """The unpacked content of an archive, read forward only and within the limit."""

    def __init__(self, source: gzip.GzipFile, most_bytes: int) -> None:
        self._source, self._most, self._at = source, most_bytes, 0

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= LARGEST_READ:
            raise ValueError(f"a header has more than {LARGEST_READ} bytes")
        found = self._source.read(size)
        self._at += len(found)
        if self._at > self._most:
            raise ValueError(f"it unpacks to more than {self._most} bytes")
        return found

    def read_to_end(self) -> None:
        """Read to the end, because the checksum is in the last bytes."""
        while self.read(LARGEST_READ):
            pass

    def tell(self) -> int:
        return self._at

    def seek(self, place: int) -> None:
        if place < self._at:
            raise ValueError("its members are not in order")
        while self._at < place and self.read(min(LARGEST_READ, place - self._at)):
            pass


@contextmanager
def _refusing(file: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        why = str(error) or type(error).__name__
        raise CampaignError(
            f"{file}: not an archive of a run: {why}", hint="`tri export RUN FILE` writes one"
        ) from error


def _head(tar: tarfile.TarFile) -> tuple[str, str]:
    first = tar.next()
    if first is None or first.name != HEAD:
        raise ValueError(f"it does not begin with {HEAD}")
    head = json.loads(b"".join(_content(tar, first, LARGEST_READ)))
    if not isinstance(head, dict):
        raise ValueError(f"{HEAD} is not an object")
    head = current(head, Words({}))
    campaign, name = head.get("campaign"), head.get("name")
    if not isinstance(campaign, str) or not _CAMPAIGN.fullmatch(campaign) or campaign == "latest":
        raise ValueError(f"{inside_folder.shown(str(campaign))!r} cannot be the name of a campaign")
    return campaign, name if isinstance(name, str) and _STAMP.fullmatch(name) else "20000101T000000Z"


def _fill(tar: tarfile.TarFile, stage: Path, most_files: int) -> None:
    count = 0
    while (member := tar.next()) is not None:
        tar.members = []  # type: ignore[attr-defined]  # the list of all would grow with the archive
        count += 1
        if count > most_files:
            raise ValueError(f"it has more than {most_files} files")
        if not member.name.startswith(RUN):
            raise ValueError(f"{inside_folder.shown(member.name)!r} is not below {RUN}")
        with _made(stage, member.name.removeprefix(RUN)) as out:
            for part in _content(tar, member):
                with writing(stage):
                    out.write(part)


def _made(stage: Path, name: str) -> IO[bytes]:
    with writing(stage):
        try:
            return inside_folder.create(stage, name)
        except (FileExistsError, NotADirectoryError) as error:
            raise ValueError(f"{inside_folder.shown(name)!r} is a file and a folder") from error


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo, most: int | None = None) -> Iterable[bytes]:
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
        raise ValueError(f"{inside_folder.shown(member.name)!r} is not a regular file")
    if most is not None and member.size > most:
        raise ValueError(f"{inside_folder.shown(member.name)!r} has more than {most} bytes")
    source = tar.extractfile(member)
    assert source is not None
    left = member.size
    while left:
        part = source.read(min(LARGEST_READ >> 1, left))
        if not part:
            raise ValueError(f"{inside_folder.shown(member.name)!r} is cut off")
        left -= len(part)
        yield part


def _placed(stage: Path, name: str) -> Path:
    """Move the run to its own name, or the next one that is free."""
    for attempt in range(1, 1_000):
        folder = stage.with_name(name if attempt == 1 else f"{name.partition('-')[0]}-{attempt}")
        if not folder.exists():
            with writing(folder):
                stage.rename(folder)
            return folder
    raise ValueError(f"{stage.parent} has too many runs of {name}")

"""Claims on hosts: a claim is one file in the host's directory, so that two harnesses never use one machine at the same time.

    with Claims(hosts, "tri run quickstart.yaml").held():
        ...                                   # renewed in the background; released at the end

A claim names its owner, and how long ago it was renewed; that age is measured by the host's own uptime, which no clock fault changes. `decide` is
pure: it decides about a claim that is found. One program on the host (`claim_file.py`) makes, replaces and removes the file under a lock, so that
exactly one of two racing harnesses gets it. Hosts are claimed in one order everywhere: of two harnesses that want the same hosts, one gets all of
them.
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec

from ...errors import HostError, TribulationError
from ..base import Host
from ..parallel import on_all
from ..printed import object_in, understood
from .connection import ensure_user_name

FILE = "claim.json"
RENEW_S = 20.0
STALE_S = 120.0
"""A claim that was not renewed for this time is stale: its owner is gone, or cannot reach the host."""


class ClaimedError(HostError):
    """Another process holds the claim on a host."""


class Verdict(Enum):
    GRANTED = "granted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Claim:
    """`token` is unique. `place` names the machine, its boot and the PID namespace of `pid`. `folders` were made for it."""

    token: str
    owner: str
    what: str
    pid: int
    started: str
    place: str
    since: str
    folders: Sequence[str] = ()

    @classmethod
    def mine(cls, what: str) -> Claim:
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return cls(secrets.token_hex(8), owner_here(), what, os.getpid(), _start_of(os.getpid()), _place(), now)


def decide(found: Claim | None, age_s: float, take_over: bool, gone: Callable[[Claim], bool]) -> Verdict:
    """Decide what to do about a host with this claim, last renewed `age_s` ago. `gone`: whether its owner is known to have ended."""
    if found is None or gone(found):
        return Verdict.GRANTED
    return Verdict.GRANTED if take_over and age_s >= STALE_S else Verdict.REFUSED


def is_gone(claim: Claim) -> bool:
    """Return whether the owner was a process of this machine and boot that has ended. For others it is unknown here."""
    return claim.place == _place() and _start_of(claim.pid) != claim.started


def owner_here() -> str:
    """The user that runs the harness, and the machine."""
    ensure_user_name()
    return f"{getpass.getuser()}@{socket.gethostname()}"


class Claims:
    """The claims of one harness on these hosts. `take_over` breaks claims that were not renewed for `STALE_S`."""

    def __init__(
        self,
        hosts: Sequence[Host],
        what: str,
        *,
        take_over: bool = False,
        renew_s: float = RENEW_S,
        lost: Callable[[str], None] = lambda message: None,
    ) -> None:
        self._hosts = sorted(hosts, key=lambda host: (host.address, host.directory))
        self._take_over, self._renew_s, self._lost = take_over, renew_s, lost
        self._mine = Claim.mine(what)
        self._folders: dict[str, tuple[str, ...]] = {}
        self._ended = threading.Event()

    @contextmanager
    def held(self) -> Iterator[Claims]:
        """Hold all claims. Raises `ClaimedError`, with nothing claimed, when another process has one of the hosts."""
        self._take()
        renewing = threading.Thread(target=self._renew, name="claims", daemon=True)
        renewing.start()
        try:
            yield self
        finally:
            self._ended.set()
            renewing.join()
            self._release()

    def also_made(self, host: Host, folders: Sequence[str]) -> None:
        """Add folders of this host that are removed with the claim, if they are empty then."""
        self._folders[host.name] = tuple(dict.fromkeys([*folders, *self._folders.get(host.name, ())]))

    def keep_folders(self, host: Host) -> Sequence[str]:
        """Return the folders that were made for this claim, and keep them when it is released: another owner must remove them later."""
        return self._folders.pop(host.name, ())

    def _take(self) -> None:
        for host in self._hosts:
            try:
                self._take_one(host)
            except TribulationError:
                self._release()
                raise

    def _take_one(self, host: Host) -> None:
        expected = ""
        while True:
            answer = _ask(host, {"do": "take", "expected": expected, "claim": asdict(self._mine)})
            if answer.done:
                self._folders[host.name] = tuple(answer.folders)
                return
            if answer.found is None:
                raise HostError(
                    f"{host.name}: its folder was removed repeatedly while it was claimed", hint="try again"
                )
            found, age_s = answer.found, answer.age_s
            if decide(found, age_s, self._take_over, is_gone) is Verdict.REFUSED:
                raise _refused(host, found, age_s, self._take_over)
            # Only that claim may be replaced: another harness may have replaced it first.
            expected = found.token

    def _renew(self) -> None:
        reported: set[str] = set()
        while not self._ended.wait(self._renew_s):
            for result in on_all(self._hosts, lambda host: self._say(host, "renew")):
                # A host that does not answer is under a fault, or is reported elsewhere.
                if result.error is None and not result.value.done and result.host not in reported:
                    reported.add(result.host)
                    self._lost(f"{result.host}: another user took over the claim")

    def _release(self) -> None:
        """Release all claims. An unreachable host keeps its claim: it becomes stale soon, and this machine knows at once that its owner has ended."""
        on_all(self._hosts, lambda host: self._say(host, "release"))

    def _say(self, host: Host, verb: str) -> _Answer:
        claim = replace(self._mine, folders=self._folders.get(host.name, ()))
        return _ask(host, {"do": verb, "claim": asdict(claim)})


@dataclass(frozen=True, slots=True)
class _Answer:
    """Output of `claim_file.py`."""

    done: bool
    found: Claim | None = None
    age_s: float = 0.0
    folders: Sequence[str] = ()


def _ask(host: Host, asked: dict[str, Any]) -> _Answer:
    script = Path(__file__).with_name("claim_file.py").read_text(encoding="utf-8")
    command = [host.python, "-I", "-S", "-c", script, f"{host.directory.rstrip('/')}/{FILE}", json.dumps(asked)]
    text = host.run(command, timeout_s=20.0).stdout
    with understood(host.name, text, "what became of a claim"):
        answer: _Answer = msgspec.convert(object_in(text), _Answer)
    return answer


def _refused(host: Host, found: Claim, age_s: float, asked: bool) -> ClaimedError:
    who = f"{found.owner} (pid {found.pid}, `{found.what}`, since {found.since})"
    message = f"{host.name} is claimed by {who}; the claim was renewed {age_s:.0f} s ago"
    if age_s >= STALE_S:
        return ClaimedError(message, hint="its owner seems to have ended: --take-over breaks the claim")
    hint = f"wait until it ends; once it was not renewed for {STALE_S:.0f} s, --take-over breaks it"
    return ClaimedError(message, hint=f"{hint}, and not before" if asked else hint)


def _place() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return secrets.token_hex(8)


def _start_of(pid: int) -> str:
    """The start time of that process; empty when there is none. A zombie has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]

"""A `tri run` under way, to be watched from outside and ended in the middle; and what can be seen of hosts without the product's help."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.hosts.ssh.remote import RemoteHost

ROOT = Path(__file__).parents[2]

# Connects to every given address at the same time and prints those that answered; or, asked to wait, the time at which all did.
CONNECT = """
import socket, sys, time
from concurrent.futures import ThreadPoolExecutor
def answers(address):
    try:
        socket.create_connection((address, 22), 1.0).close()
        return True
    except OSError:
        return False
wait, *addresses = sys.argv[1:]
print("watching", flush=True)
with ThreadPoolExecutor(len(addresses)) as pool:
    while len(reached := [a for a, there in zip(addresses, pool.map(answers, addresses)) if there]) < len(addresses):
        if wait != "wait":
            break
        time.sleep(0.1)
print(*([time.monotonic()] if wait == "wait" else reached))
"""


def await_that(condition: Callable[[], object], what: str, timeout_s: float = 30.0) -> float:
    """Returns after how many seconds it held."""
    began_s = time.monotonic()
    while not condition():
        assert time.monotonic() < began_s + timeout_s, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - began_s


def with_default_signals() -> None:
    """As in a terminal: a test run that was itself started in the background has SIGINT ignored, and children inherit that."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class RunningTri:
    """The process, its lab and its folder."""

    def __init__(self, campaign: Path, directory: Path, labs: Path, words: Sequence[str]) -> None:
        self.name, self._directory, self.labs = campaign.stem, directory, labs
        self._errors = open(directory / "stderr", "w+")  # noqa: SIM115  (closed by `kill`)
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tribulation.harness.cli",
                "run",
                str(campaign),
                "--runs",
                str(directory / "runs"),
                *words,
            ],
            cwd=ROOT,
            env={**os.environ, "TRI_LABS": str(labs)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            start_new_session=True,
            preexec_fn=with_default_signals,
        )

    @property
    def lab(self) -> str:
        return f"run-{self.process.pid}"

    @property
    def folder(self) -> Path:
        return self._directory / "runs" / self.name / "latest"

    @property
    def stderr(self) -> str:
        return (self._directory / "stderr").read_text()

    def await_text(self, text: str) -> None:
        await_that(lambda: text in self.stderr or self._ended(), f"{text!r} on stderr", 180)
        assert text in self.stderr

    def await_fault(self) -> None:
        """A fault is in force and verified."""
        await_that(lambda: "verified" in self._phases() or self._ended(), "a verified fault", 180)
        assert self.process.poll() is None, self.stderr

    def wait(self, timeout_s: float = 60.0) -> int:
        return self.process.wait(timeout_s)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)
        self._errors.close()

    def _ended(self) -> bool:
        return self.process.poll() is not None

    def ledger(self) -> list[dict[str, Any]]:
        """What is written of it so far: whole lines, after the one that states its schema."""
        path = self.folder / "ledger.jsonl"
        lines = [json.loads(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else []
        assert all("schema_version" in line for line in lines[:1]), lines[0]
        return lines[1:]

    def _phases(self) -> list[Any]:
        return [line["phase"] for line in self.ledger()]


class Lab:
    """A lab seen from inside, over its SSH connections, with nothing of the nemesis."""

    def __init__(self, name: str, labs: Path) -> None:
        self.provider = LocalProvider.find(name, labs)
        clients = (self.provider.up(), self.provider.client_host())[1]
        assert clients is not None
        self.places: list[RemoteHost] = [*self.provider.hosts, clients]

    def cut_links(self) -> list[tuple[str, str]]:
        """Ordered pairs of places of which the first cannot connect to the second by IPv4 or by IPv6."""

        def reached_from(place: RemoteHost) -> list[str]:
            return place.run([place.python, "-c", CONNECT, "once", *self._others(place)]).stdout.split()[1:]

        with ThreadPoolExecutor(len(self.places)) as pool:
            reached = dict(zip(self.places, pool.map(reached_from, self.places), strict=True))
        pairs = [(a, b) for a in self.places for b in self.places if a != b]
        return [(a.name, b.name) for a, b in pairs if not set(_addresses(b)) <= set(reached[a])]

    def watch(self) -> Callable[[float], float]:
        """Call what this returns for the machine's monotonic time at which the last place reached all others. No load delays that figure."""
        watching = [p.start([p.python, "-c", CONNECT, "wait", *self._others(p)]) for p in self.places]
        for channel in watching:
            assert channel.read_line(20.0) == "watching"
        return lambda timeout_s: max(float(channel.read_line(timeout_s)) for channel in watching)

    def _others(self, place: RemoteHost) -> list[str]:
        return [address for other in self.places if other is not place for address in _addresses(other)]


def _addresses(place: RemoteHost) -> list[str]:
    return [place.address, place.address.replace("10.77.0.", "fd77::")]


def processes_of(labs: Path) -> dict[int, str]:
    """Every process that has anything to do with labs in that directory: supervisors by their arguments, and all that descend from them."""
    seen: dict[int, tuple[int, str]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                arguments = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            seen[int(entry.name)] = (parent, arguments)
    found = {pid for pid, (_, arguments) in seen.items() if "supervisor" in arguments and str(labs) in arguments}
    while more := {pid for pid, (parent, _) in seen.items() if parent in found} - found:
        found |= more
    return {pid: seen[pid][1] for pid in sorted(found)}


def everybody() -> set[tuple[int, str]]:
    """Every process of this machine as (pid, start time)."""
    found = set()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            found.add((int(entry.name), (entry / "stat").read_text().rpartition(")")[2].split()[19]))
    return found


def namespaces_of(pids: Sequence[int]) -> set[str]:
    spaces: set[str] = set()
    for pid in pids:
        try:
            spaces |= {os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("net", "mnt", "pid", "uts", "ipc")}
        except OSError:
            continue
    return spaces

"""The table's cells on local hosts: real parts are killed, stopped or replaced in a chosen phase of a real run.

    python -m tests.testbed.local                 every cell, some ten minutes; exit code 1 if one ended otherwise than it must
    python -m tests.testbed.local load            those whose name contains the word

A cell waits for the phase on the standard error of `tri run`, does its harm to host n2 from outside, and counts what it hit. As in
`tests/testbed/table.py`, `doubt` must end 3 or 4, `harmless` 0, and nothing may be blamed on the system.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.integration.running import RunningTri, processes_of

from .table import DOUBT, EXITS, HARMLESS, REFUSED

CAMPAIGN = Path(__file__).with_name("local.yaml")
HOST = "n2"
WAIT_S = 600.0
"""A host that hangs is waited for in each of three tries to heal everything."""

Harm = Callable[["Scene"], int]
"""Does it, and returns how many things it hit."""


@dataclass(slots=True)
class Scene:
    """A run under way, seen from outside."""

    tri: RunningTri
    labs: Path

    def pids(self, words: str, host: str = HOST) -> list[int]:
        """Processes of the host whose command line matches."""
        found = [pid for pid, arguments in processes_of(self.labs).items() if re.search(words, arguments)]
        return [pid for pid in found if _host_of(pid) == host]

    def signal(self, number: int, words: str) -> int:
        hit = 0
        for pid in self.pids(words):
            try:
                os.kill(pid, number)
                hit += 1
            except ProcessLookupError:
                continue
        return hit


def _host_of(pid: int) -> str:
    """The name of the host that the process belongs to; empty when it is gone."""
    try:
        namespace = os.readlink(f"/proc/{pid}/ns/uts")
    except OSError:
        return ""
    if namespace not in _NAMES:
        done = subprocess.run(["nsenter", "-t", str(pid), "-u", "hostname"], capture_output=True, text=True)
        _NAMES[namespace] = done.stdout.strip()
    return _NAMES[namespace]


_NAMES: dict[str, str] = {}
"""Of UTS namespaces, asked for once: harm to a phase of a second may not take one itself."""


# What is done to the host.


def agent_dies(scene: Scene) -> int:
    """It may not have started yet."""
    deadline_s = time.monotonic() + 2
    while not (hit := scene.signal(signal.SIGKILL, r"agent\.pyz serve")) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    return hit


def agent_and_watchdog_die(scene: Scene) -> int:
    return scene.signal(signal.SIGKILL, r"agent\.pyz (serve|watchdog)")


def agent_hangs(scene: Scene) -> int:
    return scene.signal(signal.SIGSTOP, r"agent\.pyz serve")


def ssh_stalls(scene: Scene) -> int:
    return scene.signal(signal.SIGSTOP, r"sshd")


def ssh_dies(scene: Scene) -> int:
    """The sessions end; the listener goes on."""
    return scene.signal(signal.SIGKILL, r"sshd(-session)?: \w+@")


def node_dies(scene: Scene) -> int:
    return scene.signal(signal.SIGKILL, r"node\.pyz")


def host_vanishes(scene: Scene) -> int:
    """All of its processes at once, and nothing starts them again. Nothing was hit where the host was down already."""
    up = len(scene.pids(r"sshd"))
    return scene.signal(signal.SIGKILL, r".") if up else 0


def lab_vanishes(scene: Scene) -> int:
    found = [pid for pid, arguments in processes_of(scene.labs).items() if "supervisor" in arguments]
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    return len(found)


def traces_vanish(scene: Scene) -> int:
    """The host's own files of its node are emptied before they are collected."""
    files = [path for path in scene.labs.glob(f"*/hosts/{HOST}/**/trace.jsonl") if path.is_file()]
    for path in files:
        path.unlink()
    return len(files)


def run_folder_vanishes(scene: Scene) -> int:
    folder = scene.tri.folder.resolve()
    shutil.rmtree(folder)
    return 1


def ledger_vanishes(scene: Scene) -> int:
    (scene.tri.folder / "ledger.jsonl").unlink()
    return 1


def history_is_cut(scene: Scene) -> int:
    """Half of what was recorded so far is gone."""
    path = scene.tri.folder / "history.jsonl"
    os.truncate(path, path.stat().st_size // 2)
    return 1


@dataclass(frozen=True, slots=True)
class LocalCell:
    """`phase` is the text on standard error at which the harm is done, after `wait_s`."""

    phase: str
    harm: Harm
    outcome: str
    reason: str = ""
    wait_s: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.phase}: {self.harm.__name__}"


def cells() -> Iterator[LocalCell]:
    for harm in (ssh_stalls, host_vanishes, lab_vanishes):
        yield LocalCell("deploy", harm, REFUSED, r"n2|hosts|lab")
    for harm in (agent_dies, ssh_stalls, host_vanishes, lab_vanishes):
        yield LocalCell("agents", harm, REFUSED, r"n2|hosts|lab", 0.3)
    for harm, outcome in {
        agent_dies: HARMLESS,
        agent_and_watchdog_die: HARMLESS,
        ssh_dies: HARMLESS,
        node_dies: HARMLESS,
        # A new agent takes its place.
        agent_hangs: HARMLESS,
        ssh_stalls: DOUBT,
        host_vanishes: DOUBT,
        lab_vanishes: DOUBT,
        ledger_vanishes: DOUBT,
        history_is_cut: DOUBT,
        run_folder_vanishes: DOUBT,
        traces_vanish: DOUBT,
    }.items():
        yield LocalCell("load", harm, outcome, "", 1.5)
    for harm in (ssh_stalls, host_vanishes, lab_vanishes, ledger_vanishes, history_is_cut, traces_vanish):
        yield LocalCell("quiet", harm, DOUBT)
    for harm in (ssh_stalls, host_vanishes, lab_vanishes, ledger_vanishes, run_folder_vanishes):
        yield LocalCell("final", harm, DOUBT)
    for harm in (ssh_stalls, host_vanishes, lab_vanishes):
        yield LocalCell("collect", harm, DOUBT)


@dataclass(frozen=True, slots=True)
class Result:
    cell: LocalCell
    hits: int
    exit_code: int
    verdict: str | None
    words: str
    took_s: float

    @property
    def as_it_must(self) -> bool:
        allowed = EXITS[self.cell.outcome]
        right = self.exit_code in allowed and self.verdict != "invalid"
        return bool(self.hits) and right and bool(re.search(self.cell.reason, self.words))


TRIES = 4
"""A harm that found nothing to hit came too early or too late; the run is repeated."""


def run(cell: LocalCell) -> Result:
    for _ in range(TRIES):
        result = _run(cell)
        if result.hits:
            break
    return result


def _run(cell: LocalCell) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        labs = Path(folder) / "labs"
        tri = RunningTri(CAMPAIGN, Path(folder), labs, ["--json"])
        began_s, hits = time.monotonic(), 0
        try:
            tri.await_text("s  agents" if cell.phase == "collect" else f"s  {cell.phase}")
            Scene(tri, labs).pids(".")
            tri.await_text(f"s  {cell.phase}")
            time.sleep(cell.wait_s)
            scene = Scene(tri, labs)
            hits = cell.harm(scene)
            if cell.phase == "collect" and "s  check" in tri.stderr:
                hits = 0  # Everything had been collected.
            exit_code = tri.wait(WAIT_S)
        except (subprocess.TimeoutExpired, AssertionError, OSError) as error:
            exit_code = -1
            print(f"{cell.name}: {type(error).__name__}: {error}", file=sys.stderr)
        finally:
            words, verdict = tri.stderr, _verdict_of(tri)
            tri.kill()
            _take_down(labs)
        return Result(cell, hits, exit_code, verdict, words, time.monotonic() - began_s)


def _verdict_of(tri: RunningTri) -> str | None:
    path = tri.folder / "verdict.json"
    return str(json.loads(path.read_text())["verdict"]) if path.exists() else None


def _take_down(labs: Path) -> None:
    for pid in processes_of(labs):
        for number in (signal.SIGCONT, signal.SIGKILL):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                break


def main(words: list[str]) -> int:
    chosen = [cell for cell in cells() if all(word in cell.name for word in words)]
    wrong = 0
    for cell in chosen:
        result = run(cell)
        wrong += not result.as_it_must
        mark = "ok   " if result.as_it_must else "WRONG"
        print(
            f"{mark} {cell.name}: expected {cell.outcome}, ended {result.exit_code} {result.verdict}, "
            f"{result.hits} hit, {result.took_s:.0f} s",
            flush=True,
        )
        if not result.as_it_must:
            print(result.words[-1500:], flush=True)
    print(f"{len(chosen) - wrong} of {len(chosen)} cells ended as they must")
    return 1 if wrong or not chosen else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

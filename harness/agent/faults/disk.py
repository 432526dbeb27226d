"""Faults of the disk under the service, by requests to its daemon (`fault_disk`), and damage to the data on it.

    {"trouble": {"full": true}, "damage": [{"id", "effect", "draw"}], "crashes": [{"id", "torn", "draw"}], "wiped": ["id"], "backups": ["id"]}

Trouble lasts while it is wanted. Damage is done once, and repaired when it is not wanted any more; a crash happens once and is not undone; a disk that was
wiped stays empty; a backup is made at once, and restored when it is not wanted any more (but deleted if the harness is gone).
Bytes are only changed while the process is down; it is restarted unless another fault keeps it down.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..fault_disk import probe
from ..fault_disk.control import DiskError, ask
from ..processes import processes

Json = dict[str, Any]
NAME = "disk"
OUTLIVES_POWER = True
LISTS = ("damage", "crashes", "wiped", "backups")
HELD_S = 1.0
HOLD_S = 0.3
"""Before a crash, syncs are held until there is one, and a little longer, so that data that was acknowledged without them can be lost."""
REVIVE_S = 60.0
LOSE_S = 8.0
"""Time limit for the disk to write back the data that survives a power loss."""
ANSWER_S = 0.2
"""The longest time that a request may wait for a probe."""
_PROBE = probe.Probe()
BACK_OFF_S = 0.15
"""A supervisor that sees the marker for this long forgets how often the process ended."""


def claim(before: Json, wanted: Json, config: Json) -> Json:
    """Ids of everything that is or will be done; `process` is how to restart the process that is stopped meanwhile."""
    disk = config.get("fault_disk") or {}
    if wanted and not (disk and os.path.exists(_program(disk))):
        raise RuntimeError("the service has no fault disk: it was not mounted before the service started")
    claimed = {name: sorted({*before.get(name, ()), *_ids(wanted, name)}) for name in LISTS}
    claimed = {name: ids for name, ids in claimed.items() if ids}
    trouble = {**before.get("trouble", {}), **wanted.get("trouble", {})}
    if not claimed and not trouble:
        return {}
    process = config.get("process") or before.get("process") or {}
    # Old ids are kept apart from those that are only claimed: what was done is not done again.
    done = {name: list(before.get("done", {}).get(name, ())) for name in LISTS}
    return {
        **claimed,
        "trouble": trouble,
        "disk": disk or before.get("disk", {}),
        "process": process,
        "done": done,
    }


def change(claimed: Json, wanted: Json, config: Json) -> Json:
    if not claimed:
        return {}
    disk, process, done = claimed["disk"], claimed["process"], claimed["done"]
    trouble = wanted.get("trouble", {})
    _revive(disk, process)
    if claimed["trouble"] or trouble:
        _set_trouble(disk, trouble)
    for one in _new(wanted, done, "damage"):
        _do(disk, process, trouble, {"do": "damage", **one})
    for one in _new(wanted, done, "crashes"):
        with _syncs_held(disk, trouble):
            _do(disk, process, trouble, {"do": "crash", **one})
    for one in _new(wanted, done, "wiped"):
        # It stays down: a fault that wipes the disk also kills the process, and starts it at the end.
        processes.kill(process)
        ask(disk["state"], {"do": "wipe", **one})
    for one in _new(wanted, done, "backups"):
        ask(disk["state"], {"do": "back_up", **one})
    _repair(disk, process, _over(wanted, done, "damage"))
    for ident in _over(wanted, done, "backups"):
        _do(disk, process, trouble, {"do": "restore", "id": ident})
        ask(disk["state"], {"do": "drop_backup", "id": ident})
    if claimed["trouble"] and not trouble:
        _end_back_off(process)
    if not wanted:
        return {}
    now = {name: _ids(wanted, name) for name in LISTS}
    return {**now, "trouble": trouble, "disk": disk, "process": process, "done": now}


def undo(force: Json) -> list[str]:
    """Undo trouble and damage, and delete backups. A daemon that died is started again; the record of damage is on the disk."""
    if not force or not os.path.exists(_program(force["disk"])):
        # It was taken away, and everything with it.
        return []
    disk, process, undone = force["disk"], force["process"], []
    if _revive(disk, process):
        undone.append(f"disk: {disk['directory']} is served again")
    trouble = ask(disk["state"], {"do": "status"})["trouble"]
    if wrong := [name for name, value in trouble.items() if value]:
        _set_trouble(disk, {})
        undone.append(f"disk: {disk['directory']} was {', '.join(wrong)}")
    undone += [f"disk: {repaired}" for repaired in _repair(disk, process, force.get("damage", []))]
    for ident in force.get("backups", ()):
        if ask(disk["state"], {"do": "drop_backup", "id": ident})["dropped"]:
            undone.append(f"disk: backup {ident} is deleted")
    if wrong:
        _end_back_off(process)
    if _was_interrupted(force) and processes.start(process):
        undone.append("disk: the process is started again")
    return undone


def look(request: Json, config: Json) -> Json:
    """Return the daemon's record of changes to the data; and, with `probe`, how the device behaves for a test process (`begin`, `wait`, `end`).

    `lose_power` announces a power loss of the host: nothing in the host could undo it, so it is not a part of the active state.
    """
    disk = config.get("fault_disk") or {}
    if not disk:
        raise RuntimeError("the service has no fault disk")
    if "lose_power" in request:
        return {"lost": _lose_power(disk["state"], request["lose_power"])}
    status, device = ask(disk["state"], {"do": "status"}), None
    if request.get("probe") == "begin" or (request.get("probe") == "wait" and not _PROBE.begun):
        # An agent that is asked about a probe of an earlier agent begins it again.
        _PROBE.begin(disk["directory"], f"/proc/{status['pid']}/fd/{status['backing']}")
    elif request.get("probe") == "wait":
        device = _PROBE.answer(ANSWER_S)
    elif request.get("probe") == "end":
        _PROBE.give_up()
    damage = [{name: one[name] for name in ("id", "effect", "file", "offset", "still")} for one in status["damage"]]
    files = sorted(probe.digests(disk["directory"])) if request.get("list_files") else None
    facts = {name: status[name] for name in ("results", "forgot", "pending_bytes")}
    return {**facts, "damage": damage, "device": device, "files": files}


def _lose_power(state: str, request: Json) -> Json:
    """Lose power; with a journal, while a sync is in progress, if there is one soon, because then there is acknowledged data to lose."""
    if ask(state, {"do": "status"})["model"] == "journaled":
        ask(state, {"do": "hold_syncs", "for_s": LOSE_S})
        _await_held_sync(state, HOLD_S)
    lost = ask(state, {"do": "lose_power", **request}, LOSE_S)
    return {name: value for name, value in lost.items() if name != "ok"}


def _await_held_sync(state: str, timeout_s: float) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not ask(state, {"do": "status"})["held_syncs"] and time.monotonic() < deadline_s:
        time.sleep(0.005)


def _listed(wanted: Json, name: str) -> list[Json]:
    return [{"id": one} if isinstance(one, str) else one for one in wanted.get(name, ())]


def _ids(wanted: Json, name: str) -> list[str]:
    return [one["id"] for one in _listed(wanted, name)]


def _new(wanted: Json, done: Json, name: str) -> list[Json]:
    return [one for one in _listed(wanted, name) if one["id"] not in done[name]]


def _over(wanted: Json, done: Json, name: str) -> list[str]:
    return [ident for ident in done[name] if ident not in _ids(wanted, name)]


def _was_interrupted(force: Json) -> bool:
    """A change was claimed and not made: the process may have been left down."""
    return any(set(force.get(name, ())) - set(force["done"].get(name, ())) for name in ("damage", "crashes", "backups"))


def _set_trouble(disk: Json, trouble: Json) -> None:
    ask(disk["state"], {"do": "trouble", "trouble": trouble})


def _revive(disk: Json, process: Json) -> bool:
    """Restart the daemon if necessary; return whether it was. A process that starts before the daemon would write beneath the mount, where the data is never seen."""
    try:
        ask(disk["state"], {"do": "status"})
        return False
    except DiskError:
        command = [sys.executable, "-I", _program(disk), "serve", disk["directory"], disk["state"]]
        with _down(process):
            done = subprocess.run(command, capture_output=True, text=True, timeout=REVIVE_S)
        if done.returncode != 0:
            raise RuntimeError(f"no fault disk over {disk['directory']}: {done.stderr.strip()[-300:]}") from None
        return True


def _program(disk: Json) -> str:
    return f"{disk['state']}/disk.pyz"


def _repair(disk: Json, process: Json, idents: list[str]) -> list[str]:
    """Repair those that are still damaged, with the process down; for the others, only the record is closed."""
    records = [one for one in ask(disk["state"], {"do": "status"})["damage"] if one["id"] in idents] if idents else []
    if not records:
        return []
    request = {"do": "repair", "ids": idents}
    if any(one["still"] for one in records):
        with _down(process):
            ask(disk["state"], request)
    else:
        ask(disk["state"], request)
    for one in records:
        ask(disk["state"], {"do": "note", "id": one["id"], "note": {"repaired": one["still"]}})
    return [
        f"{one['effect']} in {one['file']} at {one['offset']}"
        + (" is repaired" if one["still"] else " was overwritten since, and is not changed")
        for one in records
    ]


def _do(disk: Json, process: Json, trouble: Json, request: Json) -> None:
    """Act with the process down and the device healthy. The daemon records the data that readers see before and after, for the probe."""
    state, directory = disk["state"], disk["directory"]
    with _down(process):
        _set_trouble(disk, {})
        before = probe.digests(directory)
        ask(state, request)
        after = probe.digests(directory)
        changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
        ask(state, {"do": "note", "id": request["id"], "note": {"changed": changed}})
        _set_trouble(disk, trouble)


@contextmanager
def _down(process: Json) -> Iterator[None]:
    """Keep the process down meanwhile. If another fault keeps it down, it stays down. One without a supervisor is left alone: it would not be restarted."""
    if not process.get("marker") or os.path.exists(process["marker"]):
        yield
        return
    processes.kill(process)
    try:
        yield
    finally:
        processes.start(process)


@contextmanager
def _syncs_held(disk: Json, trouble: Json) -> Iterator[None]:
    _set_trouble(disk, {**trouble, "held": True})
    try:
        _await_held_sync(disk["state"], HELD_S)
        time.sleep(HOLD_S)
        yield
    finally:
        _set_trouble(disk, trouble)


def _end_back_off(process: Json) -> None:
    """Restart a process that ended because of its disk at once, and not at the supervisor's next attempt."""
    if process.get("marker") and not os.path.exists(process["marker"]) and processes.find(process) is None:
        with _down(process):
            time.sleep(BACK_OFF_S)

"""Make the host what is wanted, and undo everything: the only two ways in which what is in force changes.

`wanted` is the whole state: `{"drop_from": [...], "drop_to": [...], "killed": bool, "paused": bool, "offset_ns": int}`. Applying the same twice
changes nothing; applying another moves straight there. `started_by_service` says that a killed process was started already.
"""

from __future__ import annotations

from typing import Any

from . import clock, firewall, processes
from .store import NOTHING, Store

Json = dict[str, Any]


def apply(store: Store, config: Json, wanted: Json) -> None:
    """Under the store's lock, with the watchdog armed. The undo of old and new is on disk before anything is done."""
    before = store.force()
    process, clock_file = config.get("process") or {}, config.get("clock_file")
    drop = {"drop_from": sorted(wanted["drop_from"]), "drop_to": sorted(wanted["drop_to"])}
    clocks: dict[str, int] = {str(clock_file): wanted["offset_ns"]} if wanted["offset_ns"] else {}
    killed = (before["killed"] or _killable(process)) if wanted["killed"] else None
    if (wanted["killed"] or wanted["paused"]) and not process:
        raise RuntimeError("there is no process to aim at: the service was not running when the agent was configured")
    if clocks and clock_file is None:
        raise RuntimeError("the service was not started under a clock library, so its clock cannot be moved")
    current = known(process)
    store.set_force(
        {
            **{name: sorted({*before[name], *drop[name]}) for name in drop},
            "killed": before["killed"] or killed,
            "paused": before["paused"] + ([current] if wanted["paused"] and current else []),
            "clocks": {**before["clocks"], **clocks},
        }
    )
    if any(drop.values()) or any(before[name] for name in drop):
        firewall.apply(drop["drop_from"], drop["drop_to"], config["control"])
    for path in before["clocks"]:
        if path not in clocks:
            clock.set_offset(path, 0)
    for path, offset_ns in clocks.items():
        clock.set_offset(path, offset_ns)
    paused = _apply_process(before, killed, process, wanted)
    store.set_force({**drop, "killed": killed, "paused": paused, "clocks": clocks})


def _killable(process: Json) -> Json:
    """How to find it, and, where no supervisor does it, how to start it again."""
    pid = processes.find(process) if process.get("remember") else None
    return process if pid is None else {**process, "again": processes.remember(pid)}


def _apply_process(before: Json, killed: Json | None, process: Json, wanted: Json) -> list[list[int]]:
    if killed:
        processes.kill(killed)
    elif before["killed"] and not wanted.get("started_by_service"):
        processes.start(before["killed"])
    if not wanted["paused"]:
        processes.resume(before["paused"])
        return []
    # A process that is down is stopped when it is started again, as long as the pause is still wanted.
    return [] if killed else processes.pause(process)


def known(process: Json) -> list[int] | None:
    """[pid, start time] of the process now, so that a pause can be undone that died before it noted what it had stopped."""
    pid = processes.find(process) if process else None
    seen = processes.stat(pid) if pid is not None else None
    return None if pid is None or seen is None else [pid, seen[1]]


def undo_all(store: Store, who: str) -> list[str]:
    """Undo all that is in force on this host, under the store's lock; says what that was. Undone twice, the second says nothing."""
    force = store.force()
    undone = []
    if firewall.remove():
        cut = [*(f"from {a}" for a in force["drop_from"]), *(f"to {a}" for a in force["drop_to"])]
        undone.append(f"cut: table {firewall.TABLE} ({', '.join(cut) or 'unknown to this agent'})")
    for pid in processes.resume(force["paused"]):
        undone.append(f"pause: process {pid}")
    if force["killed"] and processes.start(force["killed"]):
        undone.append(f"kill: {force['killed'].get('marker') or force['killed']['again']['argv']} is started again")
    for path in force["clocks"]:
        offset_ns = clock.get_offset(path)
        if offset_ns:
            clock.set_offset(path, 0)
            undone.append(f"clock: {path} was off by {offset_ns} ns")
    if force != NOTHING:
        store.set_force(dict(NOTHING))
    if undone:
        store.write_journal({"who": who, "undone": undone})
    return undone

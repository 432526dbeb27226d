"""Script that is sent to a host as text: it takes, renews or releases the claim in one file, under a lock on the file's folder. `claims.py` sends it.

Prints {"done": …}. If a claim is not taken, also `found`, the existing claim, and `age_s`, the time since its renewal by the host's uptime; if it is taken, the `folders` that
were made for it, the topmost first.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
from typing import Any

TRIES = 5
FIELDS = {
    "token": str,
    "owner": str,
    "what": str,
    "pid": int,
    "started": str,
    "place": str,
    "since": str,
    "folders": list,
}
"""Of a claim, with the type of each."""
LONGEST_S = 1e10
"""Longer than any machine is up."""


def act(path: str, asked: dict[str, Any]) -> dict[str, Any]:
    folder, verb = os.path.dirname(path), asked["do"]
    for attempt in range(TRIES):
        claim = dict(asked["claim"])
        if verb == "take":
            claim["folders"] = _make(folder)
        try:
            answer = _act_locked(path, folder, verb, claim, asked.get("expected", ""))
        except FileNotFoundError:
            # The release of the last claim removed the folder with it.
            if verb == "take" and attempt + 1 < TRIES:
                continue
            return {"done": verb == "release"}
        if verb == "release" and answer["done"]:
            _remove(claim["folders"])
        break
    return answer


def _act_locked(path: str, folder: str, verb: str, claim: dict[str, Any], expected: str) -> dict[str, Any]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return _act_alone(path, verb, claim, expected)
    finally:
        os.close(descriptor)


def _remove(folders: list[str]) -> None:
    for made in reversed(folders):
        # Another process may have put something there.
        with contextlib.suppress(OSError):
            os.rmdir(made)


def _act_alone(path: str, verb: str, claim: dict[str, Any], expected: str) -> dict[str, Any]:
    found = _read(path)
    ours = found is not None and found["claim"]["token"] == claim["token"]
    if verb == "take":
        if found is not None and not ours and found["claim"]["token"] != expected:
            return {"done": False, "found": found["claim"], "age_s": _age_s(found)}
        # The folders that the last owner made are for the next one to remove.
        inherited = found["claim"]["folders"] if found is not None else []
        claim["folders"] = [*inherited, *(made for made in claim["folders"] if made not in inherited)]
        _write(path, claim)
        return {"done": True, "folders": claim["folders"]}
    if ours and verb == "renew":
        _write(path, claim)
    elif ours:
        os.unlink(path)
    return {"done": ours}


def _make(folder: str) -> list[str]:
    made: list[str] = []
    while not os.path.isdir(folder):
        made.insert(0, folder)
        folder = os.path.dirname(folder)
    for each in made:
        with contextlib.suppress(FileExistsError):
            os.mkdir(each, 0o755)
    return made


def _read(path: str) -> dict[str, Any] | None:
    """The claim. None if there is none, or if it is damaged, because no owner could ever release it."""
    try:
        with open(path, encoding="utf-8") as file:
            found: dict[str, Any] = json.load(file)
        claim = found["claim"]
        whole = all(isinstance(claim[name], kind) for name, kind in FIELDS.items())
        whole = whole and all(isinstance(folder, str) for folder in claim["folders"])
        whole = whole and isinstance(found["boot"], str) and 0.0 <= found["uptime_s"] < LONGEST_S
    except (FileNotFoundError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return found if whole else None


def _write(path: str, claim: dict[str, Any]) -> None:
    temporary = f"{path}.new"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump({"claim": claim, "boot": _boot(), "uptime_s": _uptime_s()}, file)
    os.replace(temporary, path)


def _age_s(found: dict[str, Any]) -> float:
    """A lower bound: for a claim from before the last boot, only the time since the boot is known."""
    return _uptime_s() - (found["uptime_s"] if found["boot"] == _boot() else 0.0)


def _boot() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def _uptime_s() -> float:
    with open("/proc/uptime", encoding="ascii") as file:
        return float(file.read().split()[0])


if __name__ == "__main__":
    print(json.dumps(act(sys.argv[1], json.loads(sys.argv[2]))))

"""Looks at a disk with the eyes of a process that uses it: writes, syncs, reads back; and reads all that is there.

It takes no part in what is done to the disk. The file that it writes has a name that a fault disk never lists, so that the service does not meet it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from typing import Any

Json = dict[str, Any]
PROGRAM = """
import errno, json, os, sys, time
directory, backing = sys.argv[1:]
name = ".tribulation-probe"
path, data, error = os.path.join(directory, name), b"probe" * 512, None
def step(what, act):
    global error
    if error is None:
        try:
            return act()
        except OSError as failure:
            error = f"{errno.errorcode.get(failure.errno, failure.errno)} from {what}"
def read_back():
    with open(path, "rb") as file:
        if file.read() != data:
            raise OSError(errno.EIO, "other bytes")
began = time.monotonic_ns()
file = step("open", lambda: os.open(path, os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o600))
step("write", lambda: os.write(file, data))
step("fsync", lambda: os.fsync(file))
folder = step("open of the directory", lambda: os.open(directory, os.O_RDONLY))
step("fsync of the directory", lambda: os.fsync(folder))
step("read", read_back)
took = time.monotonic_ns() - began
try:
    with open(os.path.join(backing, name), "rb") as kept:
        durable = kept.read() == data
except OSError:
    durable = False
try:
    os.unlink(path)
    os.fsync(folder)
except (OSError, TypeError):
    pass
print(json.dumps({"error": error, "took_ns": took, "durable": durable}))
"""


def probe(directory: str, backing: str, patience_s: float) -> Json:
    """`error` (the first, by its name and where), `took_ns` (None: no answer in time), `durable`: whether what was synced is in `backing`."""
    command = [sys.executable, "-I", "-S", "-c", PROGRAM, directory, backing]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, err = process.communicate(timeout=patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate(timeout=10)
        return {"error": None, "took_ns": None, "durable": False}
    if process.returncode != 0:
        raise RuntimeError(f"the probe of {directory} ended with {process.returncode}: {err.decode().strip()[-300:]}")
    seen: Json = json.loads(out)
    return seen


def digests(directory: str) -> dict[str, str]:
    """Every file that can be seen there, with a digest of its bytes."""
    found = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, directory)] = hashlib.sha256(file.read()).hexdigest()
    return found

"""Servers that lie in one known way each: the controls of the testbed, as a placebo and poisons are those of a medical trial.

`options: {behaviour: NAME}` with a name of `BEHAVIOURS`. One process on the first host serves registers and sets over lines of JSON, as
`register_server` does. What each checker must say of each behaviour stands in `tests/integration/test_controls.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.systems.register_server import RegisterClient, RegisterService
from tribulation.harness.hosts.base import Host
from tribulation.harness.systems.base import Op, Outcome

BEHAVIOURS = {
    "honest": "keeps every promise",
    "stores-nothing": "acknowledges everything and stores nothing",
    "loses-writes": "acknowledges every write and drops every hundredth",
    "late-replica": "answers reads from a replica that is 100 ms late",
    "down": "ends before the first operation",
    "freezes": "answers for three seconds, then neither answers nor closes",
    "other-key": "answers reads with the value of another key",
}

SERVER = r"""
import copy, json, os, socketserver, sys, threading, time
behaviour = sys.argv[2]
first, lock = {}, threading.Lock()
values, versions, writes = {}, {}, {"add": 0, "write": 0, "cas": 0}
if behaviour == "down":
    os._exit(0)

def put(key, value):
    values[key] = value
    versions.setdefault(key, []).append((time.monotonic(), copy.copy(value)))

def late(key):
    known = [value for at, value in versions.get(key, []) if at <= time.monotonic() - 0.1]
    return known[-1] if known else None

def seen(key):
    if behaviour == "stores-nothing":
        return None
    if behaviour == "late-replica":
        return late(key)
    if behaviour == "other-key" and key.startswith("register"):
        return next((value for other, value in values.items() if other != key and not isinstance(value, list)), None)
    return values.get(key)

def lost(f):
    writes[f] += 1
    return behaviour == "stores-nothing" or (behaviour == "loses-writes" and writes[f] % 100 == 0)

def answer(f, key, value):
    if f == "read":
        return {"ok": True, "value": seen(key)}
    if f == "cas":
        if behaviour != "stores-nothing" and values.get(key) != value[0]:
            return {"ok": False, "value": values.get(key)}
        value = value[1]
    if not lost(f):
        put(key, [*values.get(key, []), value] if f == "add" else value)
    return {"ok": True, "value": None}

class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            if behaviour == "freezes" and time.monotonic() - first.setdefault("request", time.monotonic()) > 3:
                time.sleep(3600)
            with lock:
                sent = answer(*json.loads(line))
            self.wfile.write(json.dumps(sent).encode() + b"\n")
            self.wfile.flush()

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads, request_queue_size = True, True, 64

Server(("", int(sys.argv[1])), Handler).serve_forever()
"""


class ControlService(RegisterService):
    """`RegisterService` with another program. A server that is down counts as started: its author believes that it runs."""

    name = "control"
    program = SERVER

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self.mode = str(options["behaviour"])

    def wait_ready(self, host: Host, timeout_s: float) -> None:
        if self.mode != "down":
            super().wait_ready(host, timeout_s)


class ControlClient(RegisterClient):
    """`RegisterClient`, for sets too: a set without an addition is empty."""

    def invoke(self, op: Op, timeout_s: float) -> Outcome:
        outcome = super().invoke(op, timeout_s)
        nothing = op.workload == "set" and op.f == "read" and outcome.type == "ok" and outcome.value is None
        return Outcome("ok", []) if nothing else outcome


def service(options: Mapping[str, Any]) -> ControlService:
    return ControlService(options)


def client(options: Mapping[str, Any]) -> ControlClient:
    return ControlClient(str(options.get("server", "n1")))

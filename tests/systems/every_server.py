"""A small server with the operations of every workload for any system, and an adapter for it: transactions, a bank, queues, locks, logs, identifiers, all in one process.

`options: {flaws: [bank, queue]}` plants a bug in what those workloads ask for. Each is one that the workload's checkers must find.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from tribulation.testing import Daemon, DriverClient, Host, Op, Outcome

SERVER = r"""
import collections, json, random, socketserver, sys, threading, time

flaws = set(sys.argv[2].split(","))
lock, state, count = threading.RLock(), {}, collections.Counter()
before, holders, due = {}, {}, []

def every(name, number):
    count[name] += 1
    return name in flaws and count[name] % number == 0

def put(key, value):
    before[key] = state.get(key)
    state[key] = value

def txn(w, f, key, parts, who):
    stale = w in flaws and w != "write-skew" and random.randrange(3) == 0
    answer, writes = [], []
    with lock:
        for f, key, value in parts:
            if f == "r":
                own = [v for k, v in writes if k == key]
                found = own[-1] if own else (before if stale else state).get(key)
                if w == "long-fork" and w in flaws and (who + int(key[-1])) % 2:
                    found = before.get(key)
                answer.append(["r", key, found])
            else:
                now = [v for k, v in writes if k == key][-1:] or [state.get(key)]
                writes.append((key, [*(now[0] or []), value] if f == "append" else value))
                answer.append([f, key, value])
        if not (w == "write-skew" and w in flaws):
            for key, value in writes:
                put(key, value)
            if w == "long-fork" and w in flaws:
                due.append((time.monotonic() + 0.2, dict(writes)))
                while due and due[0][0] < time.monotonic():
                    before.update(due.pop(0)[1])
            return "ok", answer
    time.sleep(0.03)
    with lock:
        state.update(writes)
    return "ok", answer

def bank(w, f, key, value, who):
    with lock:
        accounts = state.setdefault(key, {})
        if f == "create":
            state[key] = {**value, **accounts}
        elif f == "read":
            return "ok", dict(accounts)
        elif accounts[value["from"]] < value["amount"]:
            return "fail", None, "insufficient"
        else:
            accounts[value["from"]] -= value["amount"]
            if w not in flaws:
                accounts[value["to"]] += value["amount"]
    if f == "transfer" and w in flaws:
        time.sleep(0.01)
        with lock:
            state[key][value["to"]] += value["amount"]
    return "ok", None

def register(w, f, key, value, who):
    if f == "read":
        return "ok", (before if every(w, 5) else state).get(key)
    if f == "cas" and state.get(key) != value[0] and not every(w, 5):
        return "fail", state.get(key), "mismatch"
    put(key, value[1] if f == "cas" else value)
    return "ok", None

def elements(w, f, key, value, who):
    found = state.setdefault(key, [])
    if f == "read":
        return "ok", list(found)
    if w == "causal-reverse" and w in flaws and value % 2:
        threading.Timer(0.3, found.append, [value]).start()
    elif not every(w, 10):
        found.append(value)
    return "ok", None

def counter(w, f, key, value, who):
    if f == "add" and not every(w, 10):
        state[key] = state.get(key, 0) + value
    return "ok", state.get(key, 0) if f == "read" else None

def queue(w, f, key, value, who):
    found = state.setdefault(key, [])
    if f == "enqueue" and not every(w, 10):
        found.append(value)
    return "ok", (found.pop(0) if found else None) if f == "dequeue" else None

def mutex(w, f, key, value, who):
    if f == "access":
        refused = value < state.get(key, 0) and w not in flaws
        state[key] = value if not refused else state[key]
        return ("fail", None, "fenced") if refused else ("ok", None)
    if f in ("acquire", "elect"):
        if key in holders and w not in flaws:
            return "fail", None, "held"
        holders[key] = who
        count[key] += not every(w, 5)
        return "ok", count[key] if sys.argv[3] == "tokens" else None
    if holders.get(key) != who and w not in flaws:
        return "fail", None, "not-held"
    holders.pop(key, None)
    return "ok", None

def generate(w, f, key, value, who):
    count["ids"] += not every(w, 10)
    return "ok", count["ids"]

def log(w, f, key, value, who):
    if f == "send":
        ((_, key, value),) = value
        found = state.setdefault(key, [])
        if every(w, 10) and found:
            found.pop()
        found.append(value)
        return "ok", [["send", key, [len(found) - 1, value]]]
    (offsets,) = (part[1] for part in value)
    return "ok", [["poll", {key: [[at, v] for at, v in enumerate(state.get(key, [])) if at >= first] for key, first in offsets.items()}]]

def insert(w, f, key, value, who):
    key, rows = value
    taken = key in state
    time.sleep(0.03 if w in flaws else 0)
    if taken:
        return "fail", None, "exists"
    state[key] = rows
    return "ok", None

ALONE = {"bank": bank, "list-append": txn, "rw-register": txn, "long-fork": txn, "write-skew": txn, "transactions": txn}
LOCKED = {"set": elements, "set-full": elements, "causal-reverse": elements, "counter": counter, "queue": queue, "mutex": mutex,
          "leader-election": mutex, "unique-ids": generate, "log": log}

def done(w, f, key, value, who):
    if f == "insert" and w in flaws:
        return insert(w, f, key, value, who)
    if w in ALONE and f != "insert":
        return ALONE[w](w, f, key, value, who)
    with lock:
        return (insert if f == "insert" else LOCKED.get(w, register))(w, f, key, value, who)

class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        with lock:
            count["clients"] += 1
            who = count["clients"]
        try:
            for line in self.rfile:
                self.wfile.write(json.dumps(done(*json.loads(line), who)).encode() + b"\n")
        finally:
            with lock:
                for key in [key for key, holder in holders.items() if holder == who]:
                    del holders[key]

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads = True, True

Server(("", int(sys.argv[1])), Handler).serve_forever()
"""


class Every(Daemon):
    port = 10600
    data = None

    def runs_on(self, host: Host, cluster: Sequence[Host]) -> bool:
        return host.name == cluster[0].name

    def files(self, host: Host, cluster: Sequence[Host]) -> Mapping[str, str]:
        return {"every_server.py": SERVER}

    def command(self, host: Host, cluster: Sequence[Host]) -> Sequence[str]:
        return [host.python, self.path(host, "every_server.py"), str(self.port), *arguments(self.options)]


def arguments(options: Mapping[str, Any]) -> list[str]:
    return [",".join(options.get("flaws", [])), "tokens" if options.get("tokens") else "plain"]


class EveryClient(DriverClient):
    to_node = "n1"

    def connect(self, address: tuple[str, int], timeout_s: float) -> Any:
        made = socket.create_connection(address, timeout_s)
        self.lines = made.makefile("rb")
        return made

    def ask(self, op: Op) -> Outcome:
        self.connection.sendall(json.dumps([op.workload, op.f, op.key, op.value]).encode() + b"\n")
        line = self.lines.readline()
        if not line:
            raise ConnectionResetError("closed")
        type, value, *error = json.loads(line)
        return Outcome(type, value, *error)

    read = write = cas = add = txn = create = transfer = insert = enqueue = dequeue = ask
    acquire = access = release = elect = resign = generate = send = poll = ask


service, client = Every, EveryClient

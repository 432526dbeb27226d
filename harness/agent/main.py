"""The agent's front: `serve` answers JSON lines on standard input, `watchdog` guards the lease, `heal` undoes everything once and reports it, `boot` runs
when the host boots. `look` answers one request; `follow`, `clocks` and `wire` are helpers of parts.

A request is `{"do": verb, …}`, its answer `{"ok": true, …}` or `{"ok": false, "error": "…"}`, one line each, in order. At the end of its input the
agent ends, and the watchdog undoes the faults later.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from typing import IO, Any

from . import boot, follow, watchdog
from .apply import apply, undo_all
from .clocks import mover
from .clocks.newcomers import Newcomers
from .faults import PARTS
from .keeper import Keeper
from .network import addresses, burst, queue_thread
from .network.probes import Probes
from .processes import proc, processes
from .state import account
from .state.lines import read_object
from .state.store import Store

Json = dict[str, Any]
TAKE_OVER_S = 3.0
GRACE_S = 0.3
"""Time in which an agent whose connection was closed must end by itself."""
ERROR_CHARACTERS = 4000


class Agent:
    """`config` has the fields of the request `configure`: control, process, named, fault_disk, clock, clock_file, clock_library, clock_block,
    clock_environment, peers, probe_key, run.
    """

    def __init__(self, store: Store, program: str) -> None:
        self._store, self._program = store, program
        self._config: Json = {}
        self._probes: Probes | None = None

    def config(self) -> Json:
        return self._config

    def verbs(self) -> dict[str, Callable[[Json], Json]]:
        return {
            "hello": self._hello,
            "configure": self._configure,
            "set": self._set,
            "renew": self._renew,
            "epoch": self._epoch,
            "heard": self._heard,
            "burst": self._burst,
            "arrived": self._arrived,
            "process": self._process,
            "look": self._look,
            "time": self._time,
            "clear": self._clear,
        }

    def answer(self, request: Json) -> Json:
        verb = self.verbs().get(request["do"])
        if verb is None:
            raise ValueError(f"unknown verb {request['do']!r}")
        return verb(request)

    def _hello(self, request: Json) -> Json:
        """Open the probes' port; return it and this host's own addresses."""
        if self._probes is None:
            self._probes = Probes(request["name"], int(request["port"]), bool(request["any_port"]))
        found = addresses.of_interface(request["address"]) if request["address"] else []
        return {"port": self._probes.port, "addresses": found}

    def _configure(self, request: Json) -> Json:
        self._config = {**self._config, **request["config"]}
        if key := request["config"].get("probe_key"):
            burst.use_key(bytes.fromhex(key))
        if "peers" in request["config"]:
            self._need_probes().configure(request["config"]["peers"])
        return {}

    def _set(self, request: Json) -> Json:
        with self._store.locked():
            self._store.renew(request["lease_s"])
            watchdog.ensure(self._store, self._program)
            faults = request.get("faults", [])
            account.begin(self._store, faults, self._config.get("run", {}), request.get("at_ns", time.time_ns()))
            apply(self._store, self._config, request["wanted"])
            account.end_others(self._store, faults, "harness", request.get("at_ns"))
        return {}

    def _renew(self, request: Json) -> Json:
        """Extend the lease. `in_force` and `undone` show whether a fault was undone that the harness believes to be active."""
        if how := self._config.get("process"):
            # A process of the system is recognized later, too, whatever became of its parent.
            with contextlib.suppress(RuntimeError):
                processes.tree(how)
        with self._store.locked():
            self._store.renew(request["lease_s"])
            watchdog.ensure(self._store, self._program)
            return {"in_force": self._store.force(), "undone": len(self._store.read_journal())}

    def _epoch(self, request: Json) -> Json:
        self._need_probes().raise_epoch(request["epoch"])
        return {}

    def _heard(self, request: Json) -> Json:
        probes = self._need_probes()
        return {"heard": probes.heard(), "period_s": probes.period_s}

    def _burst(self, request: Json) -> Json:
        sizes, count = request["sizes"], request["count"]
        self._need_probes().send_burst(request["number"], sizes, count, request["every_ns"])
        return {}

    def _arrived(self, request: Json) -> Json:
        probes, number = self._need_probes(), request["number"]
        if request.get("counts"):
            return {"arrived": probes.arrived_count(number), "sending": probes.is_sending(number)}
        return {"arrived": probes.arrived(number), "damaged": probes.damaged()}

    def _process(self, request: Json) -> Json:
        """Return the process that the service reports, or its process named `named`; and which of all its processes are running, and which stopped."""
        name = request.get("named")
        how = (self._config.get("process") if name is None else (self._config.get("named") or {}).get(name)) or {}
        if not how:
            return {"pid": None, "state": None, "started": None, "running": [], "stopped": []}
        held = (
            self._store.force().get("process", {})
            if name is None
            else self._store.force().get("named", {}).get(name, {})
        )
        processes.recall(how, held.get("tree", ()))
        found, pid = processes.tree(how).processes, processes.find(how)
        # One that began since the look at all of them counts, too.
        named = next((process for process in found if process.pid == pid), None if pid is None else proc.read(pid))
        return {
            "pid": named.pid if named else None,
            "state": ("T" if named.stopped else named.state) if named else None,
            "started": named.started if named else None,
            "running": [str(process) for process in found if not process.stopped],
            "stopped": [str(process) for process in found if process.stopped],
        }

    def _look(self, request: Json) -> Json:
        """Return the independent observation of the part `part`."""
        found = {part.NAME: getattr(part, "look", None) for part in PARTS}.get(request["part"])
        if found is None:
            raise ValueError(f"no part {request['part']!r} can verify")
        answer: Json = found(request, self._config)
        return answer

    def _time(self, request: Json) -> Json:
        return {"mono_ns": time.monotonic_ns(), "wall_ns": time.time_ns()}

    def _clear(self, request: Json) -> Json:
        """Undo everything and release the watchdog."""
        with self._store.locked():
            undone = undo_all(self._store, "agent")
            self._store.renew(0.0)
        return {"undone": undone}

    def _need_probes(self) -> Probes:
        if self._probes is None:
            raise ValueError("`hello` comes first")
        return self._probes


def serve(store: Store, program: str, client: str = "") -> None:
    """Serve; one agent at a time. An earlier one that hangs is ended once its lease is no longer renewed; an earlier one of the same client, at once."""
    with open(store.path("agent.lock"), "a+") as held:
        began = time.monotonic()
        while not _locked(held):
            waited_s = time.monotonic() - began
            if store.lease_left_s() <= 0 or (waited_s > GRACE_S and client and _holder(held)[1:] == [client]):
                _end_holder(held)
            if waited_s > TAKE_OVER_S:
                left_s = max(0.0, store.lease_left_s())
                refuse(f"another harness uses this host, and renewed its lease ({left_s:.0f} s left): wait for its end")
                return
            time.sleep(0.05)
        held.truncate(0)
        held.write(f"{os.getpid()} {client}")
        held.flush()
        boot.leave_hook(store, program)
        agent = Agent(store, program)
        threads = (Keeper(store), Newcomers(store, agent.config))
        for thread in threads:
            thread.start()
        try:
            _answer_all(agent)
        finally:
            for thread in threads:
                thread.stop()


def _answer_all(agent: Agent) -> None:
    for line in sys.stdin.buffer:
        sys.stdout.write(answered(line, agent.answer) + "\n")
        sys.stdout.flush()


def answered(line: bytes, answer: Callable[[Json], Json]) -> str:
    """Return the answer to a request line. No request ends the agent: an exception becomes the answer, with its place if it is a bug."""
    try:
        return json.dumps({"ok": True, **answer(read_object(line))})
    except (OSError, ValueError, KeyError, RuntimeError, subprocess.TimeoutExpired) as error:
        return _refused(error, "")
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return _refused(error, f" ({os.path.basename(last.filename)}:{last.lineno})")


def _refused(error: Exception, place: str) -> str:
    return json.dumps({"ok": False, "error": f"{type(error).__name__}: {error}{place}"[:ERROR_CHARACTERS]})


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: IO[str]) -> list[str]:
    """Return the pid of the agent that has the lock, and its client."""
    file.seek(0)
    return file.read().split()


def _end_holder(file: IO[str]) -> None:
    with contextlib.suppress(ValueError, IndexError, ProcessLookupError):
        os.kill(int(_holder(file)[0]), signal.SIGKILL)


def refuse(why: str) -> None:
    """Answer the first request with the reason why no agent can start."""
    sys.stdin.readline()
    sys.stdout.write(json.dumps({"ok": False, "error": why}) + "\n")
    sys.stdout.flush()


def heal(store: Store) -> None:
    """Heal. `undone` is what was active; `faults` are its faults, as far as this host knows them."""
    with store.locked():
        faults = account.still_on(store)
        undone = undo_all(store, "heal")
        store.renew(0.0)
    print(json.dumps({"undone": undone, "faults": faults}))


def look(store: Store, program: str) -> None:
    """Send one query to a part, without a configuration of the host."""
    print(json.dumps(Agent(store, program).answer({**json.loads(sys.stdin.readline()), "do": "look"})))


def main() -> None:
    program, (verb, directory) = os.path.abspath(sys.argv[0]), sys.argv[1:3]
    store = Store(directory)
    if verb == "serve":
        serve(store, program, *sys.argv[3:4])
    elif verb == "watchdog":
        watchdog.run(store)
    elif verb == "boot":
        boot.after_boot(store, program)
    elif verb == "wire":
        queue_thread.run(store.path(queue_thread.SOCKET))
    elif verb == "look":
        look(store, program)
    elif verb == "follow":
        follow.run(json.loads(sys.argv[3]))
    elif verb == "clocks":
        print(json.dumps(mover.run(json.loads(sys.stdin.read()))))
    elif verb == "heal":
        heal(store)
    else:
        sys.exit(f"unknown command {verb!r}")

"""Trial of an adapter on hosts, step by step, with a description of what is wrong with it: `tri try`.

Nothing here trusts the adapter: each call has a deadline, and what it raises or answers is described with its place. A step that fails does not end
the trial, except where nothing could follow; at the end everything is stopped and uninstalled.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ..errors import shown
from ..hosts.base import Host
from ..nemesis.cluster.fault_disk import OnDisk
from ..run.drive.worker import checked, fitting
from ..run.plan.build import System
from ..systems.answers import leader_of, pid_of, status_of
from ..systems.base import Client, Dial, Op, Outcome
from ..systems.operations import lacking
from ..trouble import described
from ..workloads import WORKLOADS
from ..workloads.generators import Context, drawn
from ..workloads.register import SEEN
from . import leftovers
from .steps import Step, Wrong, bounded, hint_of, soon

CALL_S = 60.0
"""How long a call on a host may take."""
OPERATION_S, GRACE_S = 2.0, 2.0
"""The timeout of an operation, and how much later its answer may come."""
MOST_DRAWN = 200
MOST_OUTPUT = 64 << 20
"""Bytes of a log after a trial."""
MOST_ZOMBIES = 5
"""Some are waited for a moment later."""


def operations_of(client: Client) -> list[Op]:
    """One operation of each kind of each workload that the client has all operations for."""
    found: list[Op] = []
    for name, (spec, make) in WORKLOADS.items():
        workload = make(name, spec())
        known = lacking(client, name, workload.asked())
        if known or (name != "register" and not hasattr(client, "method_of") and not hasattr(client, "operations")):
            continue
        generator, kinds = workload.load(), set(workload.asked())
        for count in range(MOST_DRAWN):
            emit, generator = drawn(generator, Context(1, name, 0, 1, count, 0))
            if emit is None or not kinds:
                break
            if emit.op.f in kinds:
                kinds.discard(emit.op.f)
                found.append(emit.op)
            # What follows may depend on what came of it.
            generator = generator.update(emit.op, Outcome("ok", 1))
    return [Op(op.f, op.key, [None, op.value[1]], op.level, op.workload) if _seen(op) else op for op in found]


def _seen(op: Op) -> bool:
    return op.f == "cas" and bool(op.value) and op.value[0] == SEEN


@dataclass
class Trial:
    """`closed_dial` dials a port on which nothing listens."""

    system: System
    hosts: Sequence[Host]
    dial: Dial
    closed_dial: Dial
    ready_s: float = CALL_S
    call_s: float = CALL_S
    operation_s: float = OPERATION_S
    operations: list[Op] = field(default_factory=list)
    _running_before: dict[str, set[str]] = field(default_factory=dict)

    def steps(self) -> Iterator[Step]:
        """Yield each step as it ends."""
        before = {host.name: leftovers.files(host) for host in self.hosts}
        self._running_before = {host.name: set(leftovers.running(host)) for host in self.hosts}
        try:
            for name, step, vital in self._plan():
                done = self._tried(name, step)
                yield done
                if done.wrong and vital:
                    break
        finally:
            yield self._tried("stop", self._stop)
            yield self._tried("uninstall", lambda: self._uninstall(before))
            self._remove(before)

    def _plan(self) -> list[tuple[str, Callable[[], str], bool]]:
        return [
            ("install", self._install, True),
            ("start", self._start, True),
            ("start again", self._start_again, False),
            ("client", self._client, True),
            *((f"{op.workload}: {op.f}", lambda op=op: self._operation(op), False) for op in self._drawn()),
            ("wrong port", self._wrong_port, False),
            ("pause", self._pause, False),
            ("kill", self._kill, False),
            ("start after the kill", self._start, False),
            ("operation after the kill", self._after, False),
            ("leader and status", self._asked, False),
            ("data", self._data, False),
            ("processes", self._processes, False),
            ("files to keep", self._kept, False),
        ]

    def _drawn(self) -> list[Op]:
        with suppress(Exception):
            self.operations = operations_of(self.system.make_client())
        return self.operations

    def _tried(self, name: str, step: Callable[[], str]) -> Step:
        try:
            return Step(name, step())
        except Wrong as wrong:
            return Step(name, wrong=str(wrong), hint=wrong.hint or hint_of(name))
        except Exception as error:
            return Step(name, wrong=described(error), hint=getattr(error, "hint", None) or hint_of(name))

    def _everywhere(self, call: Callable[[Host], Any], what: str, within_s: float | None = None) -> dict[str, Any]:
        within_s = self.call_s if within_s is None else within_s
        return {host.name: bounded(lambda: call(host), within_s, f"{what}({host.name})") for host in self.hosts}  # noqa: B023

    def _install(self) -> str:
        for _ in range(2):  # it may be repeated
            self._everywhere(lambda host: self.system.service.install(host, self.hosts), "install")
        return f"on {len(self.hosts)} hosts, twice"

    def _start(self) -> str:
        service = self.system.service
        self._everywhere(lambda host: service.start(host, {}), "start")
        try:
            self._everywhere(
                lambda host: service.wait_ready(host, self.ready_s), "wait_ready", self.ready_s + self.call_s
            )
        except Wrong:
            self._require_processes(self._pids())
            raise
        pids = self._pids()
        if not any(pids.values()):
            raise Wrong("pid(host) is None on every host although the system is ready: no fault can aim at a process")
        self._require_processes(pids)
        return ", ".join(f"{name}: pid {pid}" for name, pid in pids.items() if pid)

    def _require_processes(self, pids: Mapping[str, int | None]) -> None:
        for host in self.hosts:
            if (pid := pids[host.name]) and host.run(f"[ -d /proc/{pid:d} ]", check=False).exit_code:
                raise Wrong(
                    f"pid({host.name}) is {pid}, and there is no such process",
                    "return the pid, as numbered on its host, of the process that faults kill and pause; None when it does not run",
                )

    def _pids(self) -> dict[str, int | None]:
        return self._everywhere(lambda host: pid_of(self.system.service, host), "pid")

    def _start_again(self) -> str:
        before = self._pids()
        self._everywhere(lambda host: self.system.service.start(host, {}), "start")
        if (after := self._pids()) != before:
            raise Wrong(f"start() of a system that runs started it again: its processes were {before} and are {after}")
        return "the same processes"

    def _node(self) -> str:
        return next((name for name, pid in self._pids().items() if pid), self.hosts[0].name)

    def _opened(self, dial: Dial | None = None) -> Client:
        client = self.system.make_client()
        node = self._node()
        try:
            bounded(lambda: client.open(node, dial or self.dial, self.operation_s), self.operation_s + GRACE_S, "open")
        except Wrong:
            with suppress(Exception):
                client.close()
            raise
        return client

    def _client(self) -> str:
        bounded(self._opened().close, self.call_s, "close")
        if not self.operations:
            raise Wrong(
                "there is no workload whose operations the client has completely: `tri list workloads`, docs/reference/workloads.md"
            )
        return "opened and closed"

    def _invoked(self, op: Op) -> Outcome:
        client = self._opened()
        try:
            answer = bounded(
                lambda: client.invoke(op, self.operation_s), self.operation_s + GRACE_S, f"{op.f} ({op.workload})"
            )
            outcome = fitting(op, checked(answer))
            if outcome.type == "ok" and getattr(client, "address_unused", False):
                raise Wrong(
                    f"{op.f} was answered, but the driver never connected to the address that connect() got: faults would not cut it",
                    "pass this address, and no other, to the driver",
                )
            return outcome
        finally:
            with suppress(Exception):
                client.close()

    def _operation(self, op: Op) -> str:
        outcome = self._invoked(op)
        if outcome.type == "info" and soon(lambda: not any(self._pids().values())):
            raise Wrong(f"the system ended while {op.f} of {op.key} was carried out", "look at its log")
        if outcome.type == "info":
            raise Wrong(f"{op.f} ended in doubt ({outcome.extra.get('message', outcome.error)})")
        return outcome.type + (f" ({outcome.error})" if outcome.error else "")

    def _wrong_port(self) -> str:
        client, node = self.system.make_client(), self._node()
        raised: list[BaseException] = []

        def opens() -> None:
            try:
                client.open(node, self.closed_dial, self.operation_s)
            except BaseException as error:
                raised.append(error)

        bounded(opens, self.operation_s + GRACE_S, "open, at a port where nothing listens,")
        with suppress(Exception):
            client.close()
        if not raised:
            raise Wrong(
                "open() succeeded where nothing listens: it does not use the `dial` that it is given, and faults would not cut it"
            )
        if not isinstance(raised[0], OSError):
            raise Wrong(
                f"open() raised {described(raised[0])} where nothing listens; an OSError is a failed connection, and any other exception counts as a mistake of the adapter"
            )
        return type(raised[0]).__name__

    def _pause(self) -> str:
        op, client = self._change(), self._opened()
        signalled = [(host, pid) for host in self.hosts if (pid := self._pids()[host.name])]
        try:
            for host, pid in signalled:
                host.run(_SIGNAL_TREE.format(signal="STOP", pid=pid), check=False)
            outcome = checked(
                bounded(
                    lambda: client.invoke(op, self.operation_s),
                    self.operation_s + GRACE_S,
                    f"{op.f}, while the system is paused,",
                )
            )
        finally:
            for host, pid in signalled:
                host.run(_SIGNAL_TREE.format(signal="CONT", pid=pid), check=False)
            with suppress(Exception):
                client.close()
        if outcome.type == "ok":
            raise Wrong(f"{op.f} ended ok while all processes below pid(host) were paused: another process answers")
        if outcome.type == "fail" and op.f != "read":
            raise Wrong(
                f"{op.f} failed ({outcome.error}) while the system was paused; it may still happen then: that is `info`"
            )
        return f"{op.f}: {outcome.type} ({outcome.error})"

    def _change(self) -> Op:
        return next((op for op in self.operations if op.f not in ("read", "poll")), self.operations[0])

    def _kill(self) -> str:
        client, op = self._opened(), self._change()
        for host in self.hosts:
            if pid := self._pids()[host.name]:
                host.run(_SIGNAL_TREE.format(signal="KILL", pid=pid), check=False)
        left = {name: pid for name, pid in self._pids().items() if pid}
        try:
            outcome = checked(
                bounded(
                    lambda: client.invoke(op, self.operation_s), self.operation_s + GRACE_S, f"{op.f}, after the kill,"
                )
            )
        finally:
            with suppress(Exception):
                client.close()
        if left:
            raise Wrong(f"after SIGKILL pid(host) still answers {left}: it does not check whether the process exists")
        if outcome.type == "ok":
            raise Wrong(f"{op.f} ended ok although every process of the system was killed: another one answers")
        return f"{op.f}: {outcome.type} ({outcome.error})"

    def _after(self) -> str:
        return self._operation(self._change())

    def _kept(self) -> str:
        service = self.system.service
        files = getattr(service, "kept_files", None)
        found = self._everywhere(files, "kept_files") if files else self._everywhere(service.collect, "collect")
        for host in self.hosts:
            if not isinstance(found[host.name], Mapping):
                raise Wrong(
                    f"{'kept_files' if files else 'collect'}({host.name}) answered {shown(found[host.name])}, not a mapping"
                )
            for name, path in found[host.name].items() if files else ():
                size = host.run(["stat", "-c", "%s", str(path)], check=False).stdout.strip()
                if size.isdigit() and int(size) > MOST_OUTPUT:
                    raise Wrong(
                        f"{name} of {host.name} has {int(size) >> 20} MiB already: a run would fill the host's disk",
                        "make the server log less (by its log level), or rotate its logs",
                    )
                if host.run(["test", "-r", path], check=False).exit_code:
                    raise Wrong(f"kept_files({host.name}) names {path} as {name}, and there is no such file")
        return ", ".join(dict.fromkeys(name for names in found.values() for name in names)) or "none"

    def _stop(self) -> str:
        before = {name: pid for name, pid in self._pids().items() if pid}
        for _ in range(2):
            self._everywhere(self.system.service.stop, "stop")
        for host in self.hosts:
            pid = before.get(host.name)
            if (
                pid
                and not host.run(
                    f"[ -d /proc/{pid:d} ] && ! grep -q '^State:.Z' /proc/{pid:d}/status", check=False
                ).exit_code
            ):
                host.run(f"kill -KILL {pid:d}", check=False)
                raise Wrong(f"stop({host.name}) returned, and process {pid} still runs")
        return "twice"

    def _uninstall(self, before: dict[str, set[str]]) -> str:
        for _ in range(2):
            self._everywhere(self.system.service.uninstall, "uninstall")
        for host in self.hosts:
            left = sorted(leftovers.files(host) - before[host.name])
            if left:
                raise Wrong(
                    f"uninstall({host.name}) leaves {left[0]}"
                    + (f" and {len(left) - 1} more files" if left[1:] else "")
                )
            new = self._still_running(host)
            if new:
                leftovers.end(host, new)
                raise Wrong(f"after uninstall({host.name}) a process still runs: {next(iter(new.values()))[:200]}")
        return "nothing is left"

    def _still_running(self, host: Host) -> dict[str, str]:
        found = leftovers.running(host)
        return {pid: name for pid, name in found.items() if pid not in self._running_before[host.name]}

    def _remove(self, before: Mapping[str, set[str]]) -> None:
        """Leave nothing, whatever the adapter left."""
        for host in self.hosts:
            leftovers.end(host, self._still_running(host))
            if left := sorted(leftovers.files(host) - before[host.name]):
                host.run(["rm", "-rf", "--", *left], check=False)

    def _asked(self) -> str:
        """Ask for the leader and the status: a wrong answer would make a fault fail that aims at the leader."""
        service, names = self.system.service, [host.name for host in self.hosts]
        leader = bounded(lambda: leader_of(service, self.hosts, self.dial), self.call_s, "leader")
        if leader is not None and leader not in names:
            raise Wrong(
                f"leader(hosts) answered {leader!r}, not a node", f"it answers one of {', '.join(names)}, or None"
            )
        status = self._everywhere(lambda host: status_of(service, host, self.dial), "status")
        return f"leader {leader or 'unknown'}, status of {sum(one is not None for one in status.values())} hosts"

    def _data(self) -> str:
        """Check that data are below the declared folder: a power loss loses unsynced data there, and nothing elsewhere."""
        service = self.system.service
        if "disk" not in service.capabilities or not isinstance(service, OnDisk):
            return "the system declares no such function"
        folders = self._everywhere(service.data_directory, "data_directory")
        for name, folder in folders.items():
            if not isinstance(folder, str) or not folder.startswith("/"):
                raise Wrong(f"data_directory({name}) is {folder!r}", "it is an absolute path on the host")
        serving = [host for host in self.hosts if self._pids()[host.name]]
        find = "find {} -type f 2>/dev/null | head -n 1"
        if not any(host.run(find.format(shlex.quote(folders[host.name])), check=False).stdout for host in serving):
            raise Wrong(
                f"no host has a file below its data directory ({folders[serving[0].name] if serving else 'no process runs'}) after these operations: power losses would lose nothing",
                "`data` names the folder with all that must survive a power loss; None: nothing is kept on disk",
            )
        return ", ".join(dict.fromkeys(folders.values()))

    def _processes(self) -> str:
        for host in self.hosts:
            pid = self._pids()[host.name]
            if pid and (count := leftovers.zombies(host, pid)) > MOST_ZOMBIES:
                raise Wrong(
                    f"{count} processes below pid({host.name}) have ended and were not waited for (zombies)",
                    "the server waits for its children, or a shell or `tini` above it does",
                )
        return "no zombies"


_SIGNAL_TREE = (
    'all={pid}; new={pid}; while [ -n "$new" ]; do next=\'\'; for p in $new; do next="$next $(cat /proc/$p/task/*/children 2>/dev/null)"; done; '
    'new=$(echo $next); all="$all $new"; done; kill -{signal} $all 2>/dev/null; '
    "[ {signal} != KILL ] || for i in $(seq 50); do [ -d /proc/{pid} ] && ! grep -q '^State:.Z' /proc/{pid}/status || break; sleep 0.1; done"
)
"""Shell script that sends a signal to a process and all below it. It waits for a process that it kills."""

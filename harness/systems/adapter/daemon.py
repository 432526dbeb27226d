"""One process per host, or several with names, run by commands. An adapter of a database gives these; everything else has a default here.

    class Redis(Daemon):
        port = 6379
        programs = ("redis-server",)

        def command(self, host, cluster):
            return ["redis-server", "--port", str(self.port), "--dir", self.path(host, "data"), "--appendonly", "yes"]

The process is a session of its own: signals of `stop` reach everything that it started. Its identity is its pid and its start time, so that a reused
pid is never taken for it. Capabilities follow from what a class defines.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ...errors import DeployError, shown
from ...hosts.base import Host
from ...hosts.printed import understood, whole
from ...trouble import undo_all
from ..answers import pid_of
from ..base import Dial
from . import given, supervise
from .marked import Marked

STOP_S = 5.0
"""Time after which a process that was asked to end is killed."""
POLL_S = 0.1
MARK = "TRIBULATION_SYSTEM"
"""A variable of every process of the system, with the adapter's folder on its host."""
_END_MARKED = (
    "grep -lzxF -- {mark} /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3 | xargs -r kill -KILL 2>/dev/null; true"
)
LOG_TAIL = 2000
"""Characters of the log in an error."""

_FROM_METHODS = {
    "set_voters": "voters",
    "hand_over": "transfer",
    "leave": "members",
    "replacement": "replacement",
}
"""Method of a subclass → the capability that it provides."""


class Daemon:
    """Implements `Service`. A subclass has `port` and `command`, or `ports` and `processes`; everything else has a default.

    `programs` must be on each host; `packages` names the Debian packages that contain them. `data` is the folder below the adapter's own with
    everything that must survive a power loss; None: none. With it the system can have faults of disks and power. `client_port` is where clients
    connect, if that is not `port`.
    """

    port: int
    ports: ClassVar[Mapping[str, int]] = {}
    """Ports by name. The first one is `port`, where clients connect, unless the class sets it."""
    programs: ClassVar[Sequence[str]] = ()
    packages: ClassVar[Sequence[str]] = ()
    data: ClassVar[str | None] = "data"
    stop_signal: ClassVar[str] = "TERM"
    """The signal that asks the process to end. Some servers wait for their clients at SIGTERM."""
    uses_clock: ClassVar[bool] = True
    """Whether the process may be started with the library that moves its clock; False for programs that fail with it."""

    def __init_subclass__(cls) -> None:
        if cls.ports and not hasattr(cls, "port"):
            cls.port = next(iter(cls.ports.values()))
        if cls.data is None:
            # None instead of a method: the class does not implement the protocol of systems on disks.
            cls.data_directory = None  # type: ignore[assignment,method-assign]

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        self.options: Mapping[str, Any] = options or {}
        self.cluster: Sequence[Host] = ()

    # What a subclass says.

    def command(self, host: Host, cluster: Sequence[Host]) -> Sequence[str]:
        """The program and its arguments. It must stay in the foreground."""
        raise NotImplementedError

    def processes(self, host: Host, cluster: Sequence[Host]) -> Mapping[str, Sequence[str]]:
        """The command of each process of this host, by name; for a single process use `command`. A shell keeps several processes, and each is a
        target of faults by its name.
        """
        return {"server": self.command(host, cluster)}

    def files(self, host: Host, cluster: Sequence[Host]) -> Mapping[str, str | bytes]:
        """Configuration files, by name below `path(host)`."""
        return {}

    def environment(self, host: Host, cluster: Sequence[Host]) -> Mapping[str, str]:
        return {}

    def prepare(self, host: Host, cluster: Sequence[Host]) -> None:
        """Prepare the host, once after the installation, as `initdb` does. Processes that it leaves behind end with the system."""

    def ready(self, host: Host) -> bool:
        """Return whether it serves clients. By default: whether something listens on each port."""
        return all(listens(host, port) for port in (self.ports.values() or (self.port,)))

    def runs_on(self, host: Host, cluster: Sequence[Host]) -> bool:
        """Return whether this host has a process of the system; False for the spare hosts of a single server."""
        return True

    def leader(self, hosts: Sequence[Host], dial: Dial) -> str | None:
        return None

    def status(self, host: Host, dial: Dial) -> Mapping[str, Any] | None:
        return None

    # What follows from it.

    @property
    def name(self) -> str:
        return type(self).__name__.lower()

    @property
    def capabilities(self) -> frozenset[str]:
        made = {capability for method, capability in _FROM_METHODS.items() if callable(getattr(self, method, None))}
        if type(self).status is not Daemon.status:
            made.add("status")
        if self._has_several:
            made.add("processes")
        return frozenset(
            made | ({"disk"} if self.data is not None else set()) | ({"clock"} if self.uses_clock else set())
        )

    def path(self, host: Host, name: str = "") -> str:
        """A path in the adapter's folder on the host."""
        return f"{host.directory}/{self.name}/{name}".rstrip("/")

    def data_directory(self, host: Host) -> str:
        return self.path(host, self.data or "")

    def install(self, host: Host, cluster: Sequence[Host]) -> None:
        self.cluster = tuple(cluster)
        if not self.runs_on(host, self.cluster):
            return
        self._require_programs(host)
        host.run(["mkdir", "-p", self.path(host), *([self.data_directory(host)] if self.data is not None else [])])
        for name, content in given.contents(type(self).__name__, self.files(host, self.cluster)).items():
            host.put(content, self.path(host, name))
        # Before there is a fault disk, on which writing many files takes minutes.
        marker = shlex.quote(self.path(host, "prepared"))
        if host.run(f"test -e {marker}", check=False).exit_code:
            self.prepare(Marked(host, MARK, self.path(host)), self.cluster)
            host.run(f"touch {marker}")

    def start(self, host: Host, environment: Mapping[str, str]) -> None:
        if not self.runs_on(host, self.cluster) or pid_of(self, host) is not None:
            return
        commands = self._commands(host)
        if self._has_several:
            host.put(supervise.program(commands).encode(), self.path(host, "supervise.sh"))
            commands = {"server": ["sh", self.path(host, "supervise.sh")]}
        (command,) = commands.values()
        own = given.variables(type(self).__name__, self.environment(host, self.cluster))
        variables = {**own, **environment, MARK: self.path(host)}
        argv = [
            "env",
            *(f"{name}={value}" for name, value in variables.items()),
            "setsid",
            *command,
        ]
        log, pid = shlex.quote(self.path(host, "server.log")), shlex.quote(self.path(host, "pid"))
        # Before it runs: a marker of the process before would pass for an end of this one.
        markers = shlex.join(path for control in self.controls(host).values() for path in control.values())
        host.run(
            f"cd {shlex.quote(self.path(host))} && rm -f -- {markers} && ({shlex.join(argv)} </dev/null >>{log} 2>&1 & "
            f"echo $! $(cut -d' ' -f22 /proc/$!/stat 2>/dev/null) >{pid})"
        )

    def pid(self, host: Host) -> int | None:
        """The pid; None when the process is gone, or its number belongs to another one."""
        file = shlex.quote(self.path(host, "pid"))
        found = host.run(
            f'read pid born <{file} && test -n "$born" && test "$born" = "$(cut -d\' \' -f22 /proc/$pid/stat)" '
            f"&& ! grep -q '^State:.Z' /proc/$pid/status && echo $pid",
            check=False,
        )
        if found.exit_code or not found.stdout.strip():
            return None
        with understood(host.name, found.stdout, "a process's number"):
            return whole(found.stdout)

    def wait_ready(self, host: Host, timeout_s: float) -> None:
        if not self.runs_on(host, self.cluster):
            return
        deadline_s = time.monotonic() + timeout_s
        while not self.ready(host):
            gone = self.pid(host) is None or self._has_ended(host)
            if gone or time.monotonic() > deadline_s:
                why = "ended while it started" if gone else f"is not ready after {timeout_s:g} s"
                raise DeployError(
                    f"{host.name}: {self.name} {why}: {self._log_tail(host)}",
                    hint="its log has the reason; tri run keeps it in logs/",
                )
            time.sleep(POLL_S)

    def stop(self, host: Host) -> None:
        # A subclass may have a `pid` of its own, and a signal to group 1 reaches every process of the host.
        pid = pid_of(self, host)
        if pid is None:
            return
        steps = round(STOP_S / POLL_S)
        host.run(
            f"kill -s {shlex.quote(self.stop_signal)} {pid:d}; for i in $(seq {steps}); do kill -0 {pid:d} 2>/dev/null || break; sleep {POLL_S}; done; "
            f"kill -s KILL -- -{pid:d} 2>/dev/null; true",
            check=False,
            timeout_s=STOP_S + 20,
        )

    def collect(self, host: Host) -> Mapping[str, bytes]:
        return {}

    def kept_files(self, host: Host) -> Mapping[str, str]:
        if not self.runs_on(host, self.cluster):
            return {}
        return {f"logs/{name}.log": self.path(host, f"{name}.log") for name in ("server", *self.controls(host))}

    def controls(self, host: Host) -> Mapping[str, Mapping[str, str]]:
        """Return, for each of several processes by name, how it is found and kept down."""
        if not self._has_several or not self.runs_on(host, self.cluster):
            return {}
        return {name: supervise.control(self.path(host), name) for name in self.processes(host, self.cluster)}

    def uninstall(self, host: Host) -> None:
        end_marked = _END_MARKED.format(mark=shlex.quote(f"{MARK}={self.path(host)}"))
        undo_all(
            host.name,
            lambda: self.stop(host),
            # A server that made itself a daemon has left the session.
            lambda: host.run(end_marked, check=False),
            lambda: host.run(["rm", "-rf", self.path(host)], check=False),
        )

    def _commands(self, host: Host) -> Mapping[str, Sequence[str]]:
        name, found = type(self).__name__, self.processes(host, self.cluster)
        if not isinstance(found, Mapping) or not found:
            raise DeployError(
                f"{name}.processes(host, cluster) returned {shown(found)}, not a mapping of names to commands",
                given.GUIDE,
            )
        method = "processes(host, cluster)" if self._has_several else "command(host, cluster)"
        return {each: given.words(name, method, command) for each, command in found.items()}

    @property
    def _has_several(self) -> bool:
        return type(self).processes is not Daemon.processes

    def _has_ended(self, host: Host) -> bool:
        markers = [control["marker"] for control in self.controls(host).values()]
        return (
            bool(markers)
            and not host.run(" || ".join(f"test -e {shlex.quote(m)}" for m in markers), check=False).exit_code
        )

    def _require_programs(self, host: Host) -> None:
        missing = [
            name for name in self.programs if host.run(["sh", "-c", 'command -v -- "$0"', name], check=False).exit_code
        ]
        if missing:
            hint = (
                f"apt-get install {' '.join(self.packages)}"
                if self.packages
                else "install it, or name its path in command()"
            )
            raise DeployError(
                f"{host.name}: {self.name} needs {', '.join(missing)}, and the host has no such program", hint=hint
            )

    def _log_tail(self, host: Host) -> str:
        logs = [path for path in self.kept_files(host).values() if path.endswith(".log")]
        found = host.run(["tail", "-q", "-c", str(LOG_TAIL), *logs], check=False)
        return found.stdout.strip() or "its log is empty"


def listens(host: Host, port: int) -> bool:
    """Return whether a process of the host listens on that TCP port. Reads /proc: a host needs no program for it."""
    found = host.run("cat /proc/net/tcp /proc/net/tcp6 2>/dev/null", check=False)
    rows = (line.split() for line in found.stdout.splitlines())
    return any(len(row) > 3 and row[3] == "0A" and row[1].endswith(f":{port:04X}") for row in rows)

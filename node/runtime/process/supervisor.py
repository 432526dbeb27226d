"""The supervisor: a small daemon that keeps one node running, or stopped, as the marker says (`control.py` has the contract).

It starts the node as a child with the variables of environment.json, writes its pid file, reaps it and decides what to do. It reads no socket and
knows nothing of consensus. In the foreground, started by a service manager, it also notifies the manager when the node is ready (`notifying.py`).
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ..options import EXIT_CONFIG
from . import control
from .notifying import Notifier

POLL_S = 0.05
BACKOFF_FIRST_S = 0.1
BACKOFF_CAP_S = 5.0
STEADY_S = 10.0
TERMINATE_S = 5.0
LOG_BYTES = 4 * 1024 * 1024
_IN_CHARGE = b"in charge"


def daemonise(directory: Path, archive: Path, arguments: Sequence[str]) -> int:
    """Start a supervisor as a daemon, unless one runs already. Returns 0 when a supervisor is in charge, 1 when none could start."""
    read_end, write_end = os.pipe()
    if os.fork() == 0:
        os.close(read_end)
        os.setsid()
        if os.fork() == 0:
            _be_supervisor(directory, archive, arguments, write_end)
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as report:
        in_charge = report.read() == _IN_CHARGE
    os.wait()
    if not in_charge:
        print(f"no supervisor in {directory}\nhint: see {directory / control.SUPERVISOR_LOG}", file=sys.stderr)
    return 0 if in_charge else 1


def foreground(directory: Path, archive: Path, arguments: Sequence[str]) -> int:
    """Supervise in this process until a signal ends it. Returns 0 then, 1 when another supervisor has the directory."""
    _detach(directory)
    supervisor = Supervisor(directory, Notifier.from_environment())
    if not supervisor.take_charge():
        _say("another supervisor has this directory: this one ends")
        return 1
    supervisor.command = [sys.executable, "-I", str(unpack(archive, directory)), *arguments]
    supervisor.run()
    return 0


def _be_supervisor(directory: Path, archive: Path, arguments: Sequence[str], report: int) -> None:
    """Run the daemon's whole life. It keeps none of its caller's streams, or an SSH session would wait for them."""
    try:
        _detach(directory)
        supervisor = Supervisor(directory)
        first = supervisor.take_charge()
        if first:
            supervisor.command = [sys.executable, "-I", str(unpack(archive, directory)), *arguments]
        os.write(report, _IN_CHARGE)
        os.close(report)
        if first:
            supervisor.run()
        os._exit(0)
    except BaseException:
        _say(f"supervisor crashed\n{traceback.format_exc()}")
        os._exit(1)


def _detach(directory: Path) -> None:
    os.chdir(directory)
    os.umask(0o022)
    log = directory / control.SUPERVISOR_LOG
    if log.exists() and log.stat().st_size > LOG_BYTES:
        os.replace(log, log.with_name(log.name + ".1"))
    null = os.open(os.devnull, os.O_RDONLY)
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(null, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(null)
    os.close(out)


class Supervisor:
    def __init__(self, directory: Path, notifier: Notifier | None = None) -> None:
        self.command: list[str] = []
        self._directory = directory
        self._notifier = notifier or Notifier(None)
        self._child: subprocess.Popen[bytes] | None = None
        self._started_s = 0.0
        self._not_before_s = 0.0
        self._backoff_s = BACKOFF_FIRST_S
        self._hopeless = self._stopped = False
        self._lock = -1

    def take_charge(self) -> bool:
        """Lock the directory against a second supervisor, and remove the files that a dead one left. Returns False when one exists."""
        self._lock = os.open(self._directory / control.SUPERVISOR_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        # For systemd-tmpfiles, which removes files untouched for a month from /var/tmp, but nothing below a locked directory.
        fcntl.flock(os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), fcntl.LOCK_SH)
        _write(self._directory / control.SUPERVISOR_PID, f"{os.getpid()}\n")
        self._kill_orphan()
        return True

    def run(self) -> None:
        """Run until SIGTERM or SIGINT; then stop the node before returning."""
        arrivals = _Arrivals((signal.SIGTERM, signal.SIGINT, signal.SIGCHLD))
        _say(f"supervising {' '.join(self.command)}")
        while True:
            self._settle()
            ending = [number for number in arrivals.wait(POLL_S) if number != signal.SIGCHLD]
            if ending:
                _say(f"ends on signal {ending[0]}")
                self._terminate()
                self._remove(control.SUPERVISOR_PID)
                return

    def _settle(self) -> None:
        """Check once: reap the child, then start or kill it."""
        self._reap()
        if self._is_stopped():
            self._hopeless = False
            self._backoff_s = BACKOFF_FIRST_S
            self._not_before_s = 0.0
            if self._child is not None:
                self._child.kill()
        elif self._child is None and not self._hopeless and time.monotonic() >= self._not_before_s:
            self._start()
        if not self._notifier.notified:
            self._notify_when_ready()

    def _is_stopped(self) -> bool:
        """Return whether the marker is there; what was known last while the disk does not answer."""
        try:
            os.stat(self._directory / control.STOPPED)
            self._stopped = True
        except FileNotFoundError:
            self._stopped = False
        except OSError:
            pass
        return self._stopped

    def _remove(self, name: str) -> None:
        """Remove a file. On a disk that refuses it stays, and names a process that has ended, which `control` recognizes."""
        with suppress(OSError):
            (self._directory / name).unlink(missing_ok=True)

    def _notify_when_ready(self) -> None:
        """Notify when the node is ready. A node that the marker keeps stopped also counts as ready: the boot of the machine need not wait for it."""
        if self._is_stopped():
            self._notifier.ready("kept stopped by the marker")
        elif self._child is not None and is_ready(self._directory, self._child.pid):
            self._notifier.ready(f"node runs, pid {self._child.pid}")

    def _start(self) -> None:
        """Start the node. Where its disk or its machine refuses, that is tried again, as after an end: a supervisor outlives a full or read-only disk."""
        try:
            self._spawn()
        except OSError as error:
            if self._child is not None:
                # Nothing finds a process whose number is not written down.
                self._child.kill()
                self._child.wait()
                self._child = None
            _say(f"node not started: {error}; again in {self._backoff_s:.1f} s")
            self._back_off()

    def _spawn(self) -> None:
        environment = {**os.environ, **read_environment(self._directory / control.ENVIRONMENT)}
        with open(self._directory / control.NODE_OUT, "ab") as out:
            self._child = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=environment,
                cwd=self._directory,
                preexec_fn=_unblock_signals,
            )
        self._started_s = time.monotonic()
        _write(self._directory / control.NODE_PID, f"{self._child.pid}\n")
        _say(f"started node, pid {self._child.pid}")

    def _reap(self) -> None:
        if self._child is None or self._child.poll() is None:
            return
        code = self._child.returncode
        self._child = None
        self._remove(control.NODE_PID)
        if time.monotonic() - self._started_s > STEADY_S:
            self._backoff_s = BACKOFF_FIRST_S
        self._hopeless = code == EXIT_CONFIG
        after = (
            "not started again: the configuration is wrong" if self._hopeless else f"again in {self._backoff_s:.1f} s"
        )
        _say(f"node ended with {_describe(code)}; {after}")
        self._back_off()

    def _back_off(self) -> None:
        self._not_before_s = time.monotonic() + self._backoff_s
        self._backoff_s = min(2 * self._backoff_s, BACKOFF_CAP_S)

    def _terminate(self) -> None:
        if self._child is None:
            return
        self._child.terminate()
        # A paused node cannot act on SIGTERM.
        self._child.send_signal(signal.SIGCONT)
        try:
            self._child.wait(TERMINATE_S)
        except subprocess.TimeoutExpired:
            _say(f"node did not end within {TERMINATE_S} s: killed")
            self._child.kill()
            self._child.wait(TERMINATE_S)
        self._remove(control.NODE_PID)

    def _kill_orphan(self) -> None:
        """Kill a node whose supervisor was killed: it holds the lock and the port that the next one needs."""
        try:
            pid = int((self._directory / control.NODE_PID).read_text())
            command_line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return
        if os.fsencode(self._directory) in command_line and pid != os.getpid():
            _say(f"killed orphaned node, pid {pid}")
            os.kill(pid, signal.SIGKILL)
        (self._directory / control.NODE_PID).unlink(missing_ok=True)


class _Arrivals:
    """Numbers of signals as they arrive, through a pipe that Python's handler writes to.

    Not `signal.sigtimedwait`: paused and continued after its timeout, CPython's returns a signal that never came. A host that was frozen for a moment
    would lose its node.
    """

    def __init__(self, watched: Sequence[int]) -> None:
        self._pipe, writable = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
        for number in watched:
            # Without a Python handler nothing is written.
            signal.signal(number, lambda number, frame: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, watched)

    def wait(self, timeout_s: float) -> bytes:
        ready, _, _ = select.select([self._pipe], [], [], timeout_s)
        return os.read(self._pipe, 4096) if ready else b""


def is_ready(directory: Path, pid: int) -> bool:
    """Return whether the node of that process number reports that it serves (`Home.mark_ready`)."""
    try:
        return bool(json.loads((directory / "ready").read_text())["pid"] == pid)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def unpack(archive: Path, directory: Path) -> Path:
    """Unpack the archive into a folder; each supervisor does it again. Returns the path that Python must run.

    Python compiles modules in an archive at every start, but modules in a folder only once: a restart from a folder takes a third of the time.
    """
    if not zipfile.is_zipfile(archive):
        return archive
    code = directory / control.CODE
    shutil.rmtree(code, ignore_errors=True)
    with zipfile.ZipFile(archive) as content:
        content.extractall(code)
    for compiled in list(code.rglob("*.pyc")):
        # In an archive, bytecode lies next to its source, in a folder here; that of another Python is ignored and does no harm.
        place = Path(importlib.util.cache_from_source(str(compiled.with_suffix(".py"))))
        place.parent.mkdir(exist_ok=True)
        compiled.rename(place)
    return code


def read_environment(path: Path) -> Mapping[str, str]:
    """Return the environment variables for the node; empty when there are none. A file that is not an object of strings is reported and ignored: the
    node must come back.
    """
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        _say(f"{path}: ignored: {error}")
        return {}
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        _say(f"{path}: ignored: not an object of strings")
        return {}
    return content


def _unblock_signals() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _describe(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _write(path: Path, content: str) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(content)
    temporary.rename(path)


def _say(line: str) -> None:
    """Append to the log. What a full disk does not take is lost."""
    with suppress(OSError):
        os.write(1, f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime())} {line}\n".encode("utf-8", "backslashreplace"))

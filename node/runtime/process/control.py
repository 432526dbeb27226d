"""Control of a supervised node: files in one directory, and the shell commands that use them.

The contract
------------
`python3 -I node.pyz --supervise --config DIR/config.json` leaves a supervisor behind (a daemon), which keeps one sentence true, checking
ten times a second and whenever its child ends:

    the node runs if and only if DIR/stopped does not exist.

* **Kill.** Write the marker, then `kill -9` the process in `node.pid` (`kill_command`). The marker alone is enough: a supervisor that sees it
  kills a node that still runs. So a stale pid, or a restart that was under way at that moment, cannot leave a node alive.
* **Restart.** Remove the marker (`restart_command`): the supervisor starts the node within a tenth of a second. Nothing else is needed, so
  a watchdog that knows only the path can heal after the harness has died.
* **Pause** touches neither file: signal the process in `node.pid` (SIGSTOP, SIGCONT). A paused node counts as running; SIGKILL works on it.
* Both commands may be repeated, in any state, also without a supervisor, and succeed.

An unrequested exit is followed by a restart after a back-off (0.1 s, doubling to 5 s, reset after 10 s of running). The exception is exit code 2, a
configuration that cannot work: the supervisor then waits for the marker to come and go, or for its own end.

Files in DIR: `config.json`, `environment.json` (variables for the node alone, read at each start; a clock shim's LD_PRELOAD goes there), `stopped`,
`node.pid`, `supervisor.pid`, `supervisor.lock`, `supervisor.log`, `node.out` (what the node writes to its standard streams), `code/` (the archive
unpacked), and the node's own (`home.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from shlex import quote

STOPPED = "stopped"
NODE_PID = "node.pid"
SUPERVISOR_PID = "supervisor.pid"
SUPERVISOR_LOCK = "supervisor.lock"
SUPERVISOR_LOG = "supervisor.log"
ENVIRONMENT = "environment.json"
NODE_OUT = "node.out"
ARCHIVE = "node.pyz"
CODE = "code"


@dataclass(frozen=True, slots=True)
class Control:
    """The files of one supervised node and the commands on them, for `sh -c` on its host. `directory` is absolute there."""

    directory: str

    def path(self, name: str) -> str:
        return f"{self.directory.rstrip('/')}/{name}"

    @property
    def marker(self) -> str:
        """Return the path of the marker file, which exists while the node must not run."""
        return self.path(STOPPED)

    @property
    def pid_file(self) -> str:
        """Return the path of the file that holds the node's process number while it runs."""
        return self.path(NODE_PID)

    def kill_command(self) -> str:
        """Send SIGKILL now, and prevent a restart until `restart_command`. Exit code 0 when no node runs afterwards or none ran."""
        return (
            f": > {quote(self.marker)} && pid=$(cat {quote(self.pid_file)} 2>/dev/null); "
            f'if [ -n "$pid" ] && {self._is_ours("$pid")}; then kill -9 "$pid" 2>/dev/null; fi; true'
        )

    def restart_command(self) -> str:
        """Allow the node to run again."""
        return f"rm -f {quote(self.marker)}"

    def signal_command(self, signal: str) -> str:
        """Send `STOP` or `CONT` (or another) to the node. Exit code 1 when none runs."""
        return f'pid=$(cat {quote(self.pid_file)}) && {self._is_ours("$pid")} && kill -{quote(signal)} "$pid"'

    def pid_command(self) -> str:
        """Print the node's process number, or nothing when none runs."""
        return f'pid=$(cat {quote(self.pid_file)} 2>/dev/null) && {self._is_ours("$pid")} && echo "$pid" || true'

    def stop_command(self, wait_s: float = 8.0) -> str:
        """End supervisor and node, in order, and wait for that. Exit code 1 when the supervisor still runs afterwards."""
        tries = int(wait_s / 0.05)
        return (
            f"pid=$(cat {quote(self.path(SUPERVISOR_PID))} 2>/dev/null) || exit 0; {self._is_ours('$pid')} || exit 0; "
            f'kill -TERM "$pid" 2>/dev/null; i=0; while [ $i -lt {tries} ]; do '
            f"{self._is_ours('$pid')} || exit 0; sleep 0.05; i=$((i+1)); done; exit 1"
        )

    def _is_ours(self, pid: str) -> str:
        # Process numbers are reused: the command line must name this directory's archive or configuration.
        return f'grep -qF {quote(self.path(""))} "/proc/{pid}/cmdline" 2>/dev/null'

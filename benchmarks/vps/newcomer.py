"""A newcomer with a guide: a home and an SSH folder of its own, one shell whose folder and variables stay from command to command.

`ssh` takes the home from the user database, whatever HOME says, so in each command's own mount namespace the newcomer's `.ssh` lies over root's.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shlex
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

KEPT = ("PIP_", "UV_", "http", "HTTP", "SSL_", "REQUESTS_", "no_proxy", "NO_PROXY", "LANG", "TERM")
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ASKED = """\
#!/bin/sh
# ssh asks whether a fingerprint is right: it is compared with what the provider's console shows.
for shown in $(cat {console}); do case "$1" in *"$shown"*) echo yes; exit ;; esac; done
echo no
"""


class Newcomer:
    def __init__(self, home: Path) -> None:
        self.home, self.log = home, home / "log"
        self._state = home / "state"
        self._over = Path(pwd.getpwuid(os.getuid()).pw_dir) / ".ssh"
        self._made = not self._over.exists()
        self._over.mkdir(mode=0o700, exist_ok=True)
        if (home / ".ssh").exists():
            return  # One that carried out the first sections goes on.
        home.mkdir(parents=True, exist_ok=True)
        (home / ".ssh").mkdir(mode=0o700)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / ".ssh/id_ed25519")], check=True)
        self.shown([])
        (home / "askpass").write_text(ASKED.format(console=shlex.quote(str(home / "console"))))
        (home / "askpass").chmod(0o755)
        self._state.write_text(f"cd {shlex.quote(str(home))}\n")

    def shown(self, fingerprints: Sequence[str]) -> None:
        """Set what the provider's console shows, with which the newcomer compares a host key."""
        (self.home / "console").write_text("\n".join(fingerprints))

    @property
    def public_key(self) -> str:
        return (self.home / ".ssh/id_ed25519.pub").read_text()

    def start(self, command: str, said: Path) -> subprocess.Popen[bytes]:
        """Run `command` where the last one left off; a process group of its own. Its output goes to the file `said`."""
        state = shlex.quote(str(self._state))
        script = (
            f"mount --bind {shlex.quote(str(self.home / '.ssh'))} {shlex.quote(str(self._over))} || exit 126\n"
            f". {state}\n{command}\ncode=$?\n"
            f'{{ export -p; printf "cd %q\\n" "$PWD"; }} >{state}.new && mv {state}.new {state}\nexit $code\n'
        )
        asked = {"SSH_ASKPASS": str(self.home / "askpass"), "SSH_ASKPASS_REQUIRE": "force"}
        kept = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}
        environment = {**kept, **asked, "HOME": str(self.home), "PATH": SEARCH_PATH, "USER": "root"}
        with said.open("ab") as out:
            words = ["unshare", "--mount", "bash", "-c", script]
            return subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment, start_new_session=True
            )

    def run(self, command: str, timeout_s: float) -> tuple[int | None, str]:
        """The exit code, None where it did not end in time, and what it printed."""
        said = self.log.with_name("said")
        said.write_bytes(b"")
        process = self.start(command, said)
        try:
            code: int | None = process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            kill(process)
            code = None
        except BaseException:
            kill(process)
            raise
        text = said.read_text(errors="replace")
        with self.log.open("a") as log:
            log.write(f"$ {command}\n{text}[{code}]\n")
        return code, text

    def leave(self) -> None:
        if self._made:
            self._over.rmdir()


def kill(process: subprocess.Popen[bytes]) -> None:
    """End it and all that it started, at once and without a chance to tidy."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)

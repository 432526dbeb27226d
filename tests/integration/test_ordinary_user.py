"""`tri run` by an ordinary user: played by root as a user id that owns nothing on this machine, in a mount namespace of the test's own.

That user may not look into root's home, where the checkout, the environment or the interpreter may lie. So the namespace shows them, and a
home, below /mnt; the machine's own mounts stay as they are, and nothing has to be copied or installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).parents[2]
UID = 54322
SHOW = r"""
set -eu
mount -t tmpfs -o mode=755 tmpfs /mnt
show() { mkdir "/mnt/$1"; mount --bind "$2" "/mnt/$1"; }
show project "$PROJECT"
show packages "$PACKAGES"
show home "$USER_HOME"
if [ -n "$PREFIX" ]; then show python "$PREFIX"; fi
cd /mnt/home
exec env -i PATH="$PATH" HOME=/mnt/home PYTHONPATH=/mnt/project:/mnt/packages PYTHONDONTWRITEBYTECODE=1 \
    setpriv --reuid="$NUMBER" --regid="$NUMBER" --clear-groups sh -c 'exec "$@"' sh "$@"
"""
# The setting is one of each user namespace: forbidden in one of the test's own, the machine's stays as it is.
FORBID = 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"'
FORBIDDEN = ("unshare", "--user", "--map-current-user", "--keep-caps", "sh", "-c", FORBID, "sh")
SHORT = ("--set", "duration=6s", "--set", "faults=[{partition: {shape: halves, after: 1s, for: 3s}}]")


@dataclass(frozen=True)
class OrdinaryUser:
    home: Path
    interpreter: str
    prefix: str

    def run(self, *command: str, timeout_s: float = 100.0) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PROJECT": str(ROOT),
            "PACKAGES": str(Path(click.__file__).parents[1]),
            "USER_HOME": str(self.home),
            "PREFIX": self.prefix,
            "NUMBER": str(UID),
        }
        words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", SHOW, "sh", *command]
        return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=timeout_s)

    def tri(self, *words: str) -> tuple[str, ...]:
        return (self.interpreter, "-m", "tribulation.harness.cli", *words)


@pytest.fixture
def user(tmp_path: Path, namespaces: None) -> Iterator[OrdinaryUser]:
    if os.geteuid() != 0:
        pytest.skip("only root can play another user; as an ordinary user all other tests are this one")
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, UID, UID)
    own = not sys.base_prefix.startswith("/usr")
    binary = f"bin/python{sys.version_info[0]}.{sys.version_info[1]}"
    played = OrdinaryUser(
        home, f"/mnt/python/{binary}" if own else f"{sys.base_prefix}/{binary}", sys.base_prefix if own else ""
    )
    tried = played.run(played.interpreter, "-c", "import tribulation.harness.cli.main, numpy, paramiko")
    if tried.returncode != 0:
        pytest.skip(f"an ordinary user cannot run {sys.base_prefix}/{binary} here: {tried.stderr.strip()[-300:]}")
    if played.run("unshare", "--user", "--map-current-user", "true").returncode != 0:
        pytest.skip("ordinary users may not make user namespaces here")
    yield played
    assert of_user() == [], "processes were left behind"


def of_user() -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(FileNotFoundError):  # it has just ended
            if entry.name.isdigit() and entry.stat().st_uid == UID:
                found.append(int(entry.name))
    return found


@pytest.mark.full
def test_the_quickstart_runs_as_an_ordinary_user(user: OrdinaryUser) -> None:
    done = user.run(*user.tri("run", "/mnt/project/campaigns/quickstart.yaml", "--json", *SHORT))
    assert done.returncode == 0, done.stderr
    assert '"verdict": "valid"' in done.stdout and '"verified": true' in done.stdout
    assert (user.home / "runs/quickstart/latest/report.html").is_file()
    assert list((user.home / ".local/state/tribulation").iterdir()) == [], "the lab was in the user's state directory"


def test_without_user_namespaces_one_message_says_what_to_do(user: OrdinaryUser) -> None:
    done = user.run(*FORBIDDEN, *user.tri("run", "/mnt/project/campaigns/quickstart.yaml"))
    assert done.returncode == 4, done.stderr
    assert done.stderr.count("error: ") == 1 and "Traceback" not in done.stderr
    _, _, message = done.stderr.partition("error: ")
    assert message.startswith(f"local hosts need root or user namespaces, and uid {UID} may not make these: unshare")
    assert message.count("\n\nhint: ") == 1 and "sysctl -w user.max_user_namespaces=" in message
    assert done.stdout == ""

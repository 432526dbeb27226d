"""The same labs for an ordinary user: played here by a user id that owns nothing on this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import paramiko
import pytest

ROOT = Path(__file__).parents[3]
UID = 54321
# setpriv still has root's capabilities when it executes the next program; so that is one that anybody may execute.
PLAINLY = ("sh", "-c", 'exec "$@"', "sh")
PRELUDE = "import json, sys\nfrom tribulation.harness.errors import TribulationError\nfrom tribulation.harness.hosts.local import LocalProvider, list_labs\n"


@dataclass(frozen=True)
class OrdinaryUser:
    home: Path
    python: str

    def run(self, script: str, *, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """`script` by that user, with a copy of the package, and with the packages of this environment."""
        site = str(Path(paramiko.__file__).parents[1])
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "PYTHONPATH": f"{self.home}:{site}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "LD_LIBRARY_PATH": str(self.home / "python/lib"),
        }
        command = [
            "setpriv",
            f"--reuid={UID}",
            f"--regid={UID}",
            "--clear-groups",
            *PLAINLY,
            *before,
            self.python,
            "-c",
            PRELUDE + script,
        ]
        return subprocess.run(command, env=environment, cwd=self.home, capture_output=True, text=True, timeout=60)


def _copied_python(to: Path) -> str:
    """This very interpreter with its library, and none of its packages."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    base = Path(sys.base_prefix)
    left_out = shutil.ignore_patterns("__pycache__", "site-packages", "test", "config-*", "dist-packages")
    shutil.copytree(base / "lib" / name, to / "lib" / name, ignore=left_out)
    for library in (base / "lib").glob("libpython*.so.*"):
        shutil.copy(library, to / "lib")
    (to / "bin").mkdir()
    return shutil.copy(base / "bin" / name, to / "bin")


@pytest.fixture(scope="module")
def user(namespaces: None) -> Iterator[OrdinaryUser]:
    if os.geteuid() != 0:
        pytest.skip("only root can play another user; as an ordinary user the other tests are this one")
    home = Path(tempfile.mkdtemp(prefix="tribulation-user-"))
    try:
        shutil.copytree(ROOT / "tribulation", home / "tribulation", ignore=shutil.ignore_patterns("__pycache__"))
        for folder, _, files in os.walk(home):
            for path in [folder, *(os.path.join(folder, name) for name in files)]:
                os.chown(path, UID, UID)
        # An interpreter in another user's home cannot be run, and another one need not have these compiled packages: a copy does.
        complaints: list[str] = []
        for find in (lambda: sys.executable, lambda: _copied_python(home / "python"), lambda: "/usr/bin/python3"):
            candidate = OrdinaryUser(home, find())
            try:
                tried = candidate.run("import msgspec")
            except PermissionError as error:
                complaints.append(str(error))
                continue
            if tried.returncode == 0:
                break
            complaints.append(tried.stderr.strip()[-300:])
        else:
            pytest.skip(f"no Python here that an ordinary user could run with these packages: {complaints}")
        if (
            candidate.run("from tribulation.harness.hosts.local import launch; launch.check_namespaces()").returncode
            != 0
        ):
            pytest.skip("ordinary users may not make user namespaces here")
        yield candidate
    finally:
        shutil.rmtree(home)


def test_a_lab_of_an_ordinary_user_does_what_roots_does(user: OrdinaryUser) -> None:
    done = user.run("""
lab = LocalProvider(nodes=2, name="mine", directory="labs")
try:
    first, second = lab.up()
    first.put(b"kept", first.directory + "/file")
    seen = {
        "uid": first.run("id -u").stdout,
        "nft": first.run("nft -f - && nft list tables", stdin=b"table inet t { set s { type ipv4_addr; }; }").stdout,
        "machine": first.run("echo x > /etc/x; echo x > ~/../x; kill -0 1", check=False).stderr.count("Read-only"),
        "python": first.run([first.python, "-c", "print('runs')"]).stdout,
        "clock": first.run('date -s "@$(date +%s.%N)"', check=False).exit_code,
        "home": first.run(["touch", sys.path[1] + "/x"], check=False).exit_code,
    }
    with lab.dial(second.address, 22, timeout_s=5) as sock:
        seen["dialled from"] = sock.getsockname()[0]
    lab.power_off("n1")
    lab.boot("n1")
    seen["after boot"] = first.get(first.directory + "/file").decode()
    seen["labs"] = [found.alive for found in list_labs("labs")]
finally:
    lab.down()
seen["labs after"] = list_labs("labs")
print(json.dumps(seen))
""")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "uid": f"{UID}\n",
        "nft": "table inet t\n",
        "machine": 1,
        "python": "runs\n",
        "clock": 1,
        "home": 1,
        "dialled from": "10.77.0.200",
        "after boot": "kept",
        "labs": [True],
        "labs after": [],
    }
    assert not (user.home / "labs" / "mine").exists()


@pytest.mark.full
def test_an_ordinary_users_regions_are_apart_too(user: OrdinaryUser) -> None:
    done = user.run("""
from tribulation.harness.wan import Regions, Way
regions = Regions({"eu": 1, "us": 1}, {("eu", "us"): Way(5_000_000, 0, 2_000_000)})
lab = LocalProvider(nodes=2, name="apart", directory="labs", regions=regions)
try:
    lab.up()
    print(json.dumps([sorted(lab.status()["between"]), [one.rtt_ms for one in lab.measured]]))
finally:
    lab.down()
""")
    assert done.returncode == 0, done.stderr
    means, (rtt_ms,) = json.loads(done.stdout)
    assert means == ["delay", "rate"] and 9.8 <= rtt_ms <= 20


def test_without_user_namespaces_one_message_says_what_to_do(user: OrdinaryUser) -> None:
    # The setting is one of each user namespace: forbidden in one of the test's own, the machine's stays as it is.
    forbid = (
        "unshare",
        "--user",
        "--map-current-user",
        "--keep-caps",
        "sh",
        "-c",
        'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"',
        "sh",
    )
    done = user.run(
        """
try:
    LocalProvider(nodes=1, directory="labs").up()
except TribulationError as error:
    print(error)
    sys.exit(error.exit_code)
""",
        before=forbid,
    )
    assert done.returncode == 4, done.stderr
    assert done.stderr == ""
    message, _, hint = done.stdout.partition("\n\nhint: ")
    assert message.startswith(f"local hosts need root or user namespaces, and uid {UID} may not make these: unshare")
    assert "sysctl -w user.max_user_namespaces=" in hint and "provider ssh or sim" in hint
    assert not (user.home / "labs" / "default").exists()


@pytest.mark.full
def test_an_ordinary_user_moves_clocks_in_the_vdso_too(user: OrdinaryUser) -> None:
    done = user.run("""
from tribulation.harness.nemesis.kinds.clocks.abilities import sets
lab = LocalProvider(nodes=1, name="clocks", directory="labs")
try:
    lab.up()
    print(sets(lab.hosts[0]))
finally:
    lab.down()
""")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "preloaded clock library, and the vDSO of Go and static programs\n"

"""Three machines that are reached by plain sockets and logged in to by OpenSSH, as servers on the internet are; none of the product makes them.

A network, mount and PID namespace of the test's own holds a switch and, in further namespaces of their own, the machines with an sshd each
(own port, own host key). `tri` runs in the outer one, so its sockets, firewall rules and processes are out of the real machine's sight, and
the real machine's out of theirs. All of it ends with the outermost process.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paramiko

from tests.integration.running import await_that
from tribulation.harness.hosts.local import launch

ROOT = Path(__file__).parents[2]
NAMES = ("n1", "n2", "n3")
GATE = "n9"
"""A machine more, of no inventory: where the others are behind a wall, the way to them."""

OUTER = r"""
set -eu
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/sshd
if [ -e shadow ]; then mount --bind shadow /etc/shadow; fi
printf '%s\n' 'link set lo up' 'link add br0 type bridge' 'link set br0 up' 'addr add 10.78.0.254/24 dev br0' 'addr add fd78::254/64 dev br0 nodad' | ip -batch -
mount --bind hosts /etc/hosts
for i in 1 2 3 9; do
    unshare --net --mount --uts --pid --fork --kill-child=SIGKILL --mount-proc sh "$MACHINE" $i &
    echo $! >n$i/pid
    until [ -e n$i/ready ]; do sleep 0.02; done
    ip link add v$i type veth peer name eth0 netns $!
    ip link set v$i master br0 up
done
echo up
exec sleep infinity
"""
MACHINE = r"""
set -eu
hostname n$1
touch n$1/ready
until ip link show eth0 >/dev/null 2>&1; do sleep 0.02; done
printf '%s\n' 'link set lo up' "addr add 10.78.0.$1/24 dev eth0" "addr add fd78::$1/64 dev eth0 nodad" 'link set eth0 up' | ip -batch -
exec "$SSHD" -D -e -f n$1/sshd_config 2>n$1/sshd.log
"""


class Machines:
    """`inventory` names all three. Each one's `directory` is `<its folder>/tribulation`."""

    def __init__(self, folder: Path, labs: Path) -> None:
        self._folder, self._labs = folder, labs
        self._process: subprocess.Popen[str] | None = None
        for name in (*NAMES, GATE):
            self._write_machine(name, int(name[1:]))
        self._write_key(folder / "key")
        shutil.copy(folder / "key.pub", folder / "authorized_keys")
        if os.geteuid() == 0:
            (folder / "shadow").write_text("root:*:19000:0:99999:7:::\n")
        (folder / "machine.sh").write_text(MACHINE)
        (folder / "hosts").write_text("127.0.0.1 localhost\n10.78.0.1 first.example\n")
        self.inventory = self.write_inventory("machines.yaml")

    def write_inventory(
        self, name: str, *, known_hosts: str = "known_hosts", at: str = "address: 10.78.0.{i}", head: str = ""
    ) -> Path:
        """`at` says where each machine is, by its number `i`; `head` is what the inventory says of all."""
        lines = [
            f"  - {{name: {name}, {at.format(i=i)}, port: 220{i}, user: {self.user}, key: key, directory: {self.directory(name)}}}"
            for i, name in enumerate(NAMES, start=1)
        ]
        path = self._folder / name
        path.write_text("\n".join(["consent: true", f"known_hosts: {known_hosts}", head, "hosts:", *lines]) + "\n")
        return path

    @property
    def key(self) -> Path:
        return self._folder / "key"

    @property
    def user(self) -> str:
        return pwd.getpwuid(os.geteuid()).pw_name

    @contextmanager
    def walled(self) -> Iterator[str]:
        """Nothing goes from here to the machines but through the gate, which this names as a bastion."""
        wall = "table inet wall { chain out { type filter hook output priority 0; ip daddr { 10.78.0.1, 10.78.0.2, 10.78.0.3 } drop; ip6 daddr { fd78::1, fd78::2, fd78::3 } drop; }; }"
        assert self.run("nft", wall).returncode == 0
        try:
            yield f"{self.user}@10.78.0.9:2209"
        finally:
            assert self.run("nft", "delete table inet wall").returncode == 0

    def directory(self, name: str) -> Path:
        return self._folder / name / "tribulation"

    @contextmanager
    def up(self) -> Iterator[Machines]:
        environment = {**launch.environment(), "MACHINE": "machine.sh", "SSHD": self._sshd()}
        self._process = subprocess.Popen(
            launch.isolate("sh", "-c", OUTER), cwd=self._folder, env=environment, stdout=subprocess.PIPE, text=True
        )
        try:
            assert self._process.stdout is not None and self._process.stdout.readline() == "up\n"
            yield self
        finally:
            self._process.kill()
            self._process.communicate(timeout=30)

    def run(self, *command: str, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
        """In the outer namespaces, where `tri` has its place."""
        assert self._process is not None
        (init,) = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        user = () if os.geteuid() == 0 else ("--user", "--preserve-credentials")
        enter = ["nsenter", "--target", init, *user, "--net", "--mount", "--pid", "--"]
        environment = {**launch.environment(), "HOME": str(self._folder), "TRI_LABS": str(self._labs)}
        words = [*enter, "env", "--chdir", str(ROOT), *command]
        return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=timeout_s)

    def tri(self, *words: str) -> subprocess.CompletedProcess[str]:
        further = ["--runs", str(self._folder / "runs")] if words[0] == "run" else []
        return self.run(sys.executable, "-m", "tribulation.harness.cli", *words, *further)

    def on(self, name: str, *command: str) -> str:
        """In the network of one machine."""
        pid = (self._folder / name / "pid").read_text().strip()
        done = self.run("nsenter", f"--net=/proc/{pid}/ns/net", "--", *command)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def listener(self, name: str, port: int) -> Iterator[None]:
        """Something else that has this port on this machine."""
        assert self._process is not None
        pid, ready = (self._folder / name / "pid").read_text().strip(), self._folder / name / "listening"
        code = f"import socket, sys; s = socket.create_server(('', {port})); open({str(ready)!r}, 'w').close(); sys.stdin.read()"
        (init,) = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        user = () if os.geteuid() == 0 else ("--user", "--preserve-credentials")
        outer = ["nsenter", "--target", init, *user, "--net", "--mount", "--pid", "--"]
        inner = ["nsenter", f"--net=/proc/{pid}/ns/net", "--", sys.executable, "-c", code]
        with subprocess.Popen([*outer, *inner], stdin=subprocess.PIPE, env=launch.environment()) as process:
            await_that(ready.exists, f"a listener on port {port} of {name}")
            yield
            process.communicate(timeout=30)

    @contextmanager
    def sshd_here(self, name: str) -> Iterator[None]:
        """Where `tri` runs, an sshd with the key and the port of this machine."""
        assert self._process is not None
        (init,) = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        user = () if os.geteuid() == 0 else ("--user", "--preserve-credentials")
        enter = ["nsenter", "--target", init, *user, "--net", "--mount", "--pid", "--"]
        serve = f"cd {self._folder} && {self._sshd()} -D -e -f {name}/sshd_config 2>here.log & cat; kill $!"
        with subprocess.Popen([*enter, "sh", "-c", serve], stdin=subprocess.PIPE, env=launch.environment()) as process:
            log = self._folder / "here.log"
            await_that(lambda: log.exists() and "listening on" in log.read_text(), "an sshd beside tri")
            yield
            process.communicate(timeout=30)

    def as_found(self) -> dict[str, str]:
        """What a deployment might leave on the machines: files and folders, users, firewall, programs."""
        users = "".join(Path("/etc", name).read_text() for name in ("passwd", "group"))
        folders = ("/etc/systemd/system", "/etc/tmpfiles.d", "/etc/cron.d", "/var/spool/cron", "/run")
        etc = users + self.run("sh", "-c", f"find {' '.join(folders)} 2>/dev/null").stdout
        files = {name: self.run("find", str(self._folder / name)).stdout for name in NAMES}
        firewall = {f"nft {name}": self.on(name, "nft", "list", "ruleset") for name in NAMES}
        return {**files, **firewall, "etc": etc, "programs": "\n".join(self.programs())}

    def programs(self) -> list[str]:
        """Command lines of everything that runs from a machine's `directory`; the folder of this clone may have the same name."""
        script = "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline; echo; done"
        lines = self.run("sh", "-c", script).stdout.splitlines()
        return [line for line in lines if any(f"{self.directory(name)}/" in line for name in NAMES)]

    def left_behind(self) -> list[str]:
        """Whatever of ours is on the machines: processes, firewall tables, files."""
        tables = [f"{name}: {line}" for name in NAMES for line in self.on(name, "nft", "list", "tables").splitlines()]
        files = [str(path) for name in NAMES for path in self.directory(name).rglob("*") if path.is_file()]
        return [*self.programs(), *tables, *files]

    def _write_machine(self, name: str, number: int) -> None:
        folder = self._folder / name
        folder.mkdir(parents=True)
        public = self._write_key(folder / "host_key")
        with open(self._folder / "known_hosts", "a") as known:
            for at in (f"10.78.0.{number}", f"fd78::{number}", *(["first.example"] if number == 1 else [])):
                known.write(f"[{at}]:220{number} {public}\n")
        settings = {
            "Port": f"220{number}",
            "HostKey": folder / "host_key",
            "AuthorizedKeysFile": self._folder / "authorized_keys",
            "StrictModes": "no",
            "PermitRootLogin": "prohibit-password",
            "PasswordAuthentication": "no",
            "UsePAM": "no",
            "UseDNS": "no",
            "PidFile": "none",
            "MaxStartups": "100:30:200",
            "MaxSessions": "100",
            # A home of its own: what the real one has in its .bashrc would run at each command.
            "SetEnv": f"HOME={folder}",
        }
        (folder / "sshd_config").write_text("".join(f"{key} {value}\n" for key, value in settings.items()))

    @staticmethod
    def _write_key(path: Path) -> str:
        key = paramiko.ECDSAKey.generate()
        key.write_private_key_file(str(path))
        public = f"{key.get_name()} {key.get_base64()}"
        Path(f"{path}.pub").write_text(public + "\n")
        return public

    @staticmethod
    def _sshd() -> str:
        found = shutil.which("sshd", path=launch.SEARCH_PATH)
        assert found is not None
        return found

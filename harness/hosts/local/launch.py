"""Launch of a lab: makes its files and starts its supervisor, as root or as an ordinary user: the same command, once with a user namespace."""

from __future__ import annotations

import json
import os
import pwd
import select
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import paramiko

import tribulation

from ...errors import HostError
from ...wan import Regions
from ..programs import end_of, run_program
from .layout.layout import HOME, SSH_PORT, Machine, machines

PACKAGES = {
    "sshd": "openssh-server",
    "ip": "iproute2",
    "nft": "nftables",
    "unshare": "util-linux",
    "mount": "mount",
    "setpriv": "util-linux",
    "tini": "tini",
    "hostname": "hostname",
}
"""Programs that local hosts need, and the Debian package of each."""
OWN_PLACES = ("/dev", "/proc", "/run", "/srv", "/sys", "/tmp", "/var/lib", "/var/log", "/var/tmp")
"""Where a host has its own files in place of the machine's (hostinit.sh)."""
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"])
ISOLATION = ("--net", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc")
# Mapping the user to itself and keeping the capabilities: sshd refuses to work where only uid 0 is mapped (setgroups).
USER_NAMESPACE = ("--user", "--map-current-user", "--keep-caps")

_SSHD_CONFIG = f"""\
Port {SSH_PORT}
HostKey /var/lib/sshd/host_key
AuthorizedKeysFile /var/lib/sshd/authorized_keys
# The key's directory is ours alone, though not by the modes of the directories above it.
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
PidFile none
PrintMotd no
PrintLastLog no
MaxStartups 100:30:200
MaxSessions 100
Subsystem sftp internal-sftp
SetEnv PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
"""


def isolate(*command: str) -> list[str]:
    """The command line that runs `command` as process 1 of new namespaces with all privileges in them."""
    return ["unshare", *(() if os.geteuid() == 0 else USER_NAMESPACE), *ISOLATION, *command]


def environment() -> dict[str, str]:
    """The environment in which system tools are found, and this very package by the same interpreter."""
    package_root = str(Path(tribulation.__file__).parents[1])
    path = os.pathsep.join(part for part in (package_root, os.environ.get("PYTHONPATH")) if part)
    return {**os.environ, "PATH": SEARCH_PATH, "PYTHONPATH": path, "LC_ALL": "C.UTF-8"}


def check_programs() -> None:
    missing = [program for program in PACKAGES if shutil.which(program, path=SEARCH_PATH) is None]
    if missing:
        packages = sorted({PACKAGES[program] for program in missing})
        raise HostError(
            f"local hosts need {', '.join(missing)}: not found on this machine",
            hint=f"apt install {' '.join(packages)}",
        )


def check_namespaces() -> None:
    """Check by making namespaces: the kernel's settings do not say what it allows."""
    try:
        done = run_program(
            isolate("true"), env=environment(), timeout_s=20, hint="the machine is overloaded; try again"
        )
    except OSError as error:
        raise HostError(f"namespaces cannot be made: {error}", hint="apt install util-linux") from None
    if done.exit_code == 0:
        return
    said = done.stderr.strip().splitlines()[-1:] or [f"exit {done.exit_code}"]
    if os.geteuid() == 0:
        hint = "this container forbids namespaces (CAP_SYS_ADMIN is missing); use provider ssh or sim"
        raise HostError(f"local hosts need namespaces, which root may not make here: {said[0]}", hint=hint)
    raise HostError(
        f"local hosts need root or user namespaces, and uid {os.geteuid()} may not make these: {said[0]}",
        hint="run as root; or as root: sysctl -w user.max_user_namespaces=10000 kernel.unprivileged_userns_clone=1 "
        "kernel.apparmor_restrict_unprivileged_userns=0 (those that exist here); or use provider ssh or sim",
    )


def find_python() -> str:
    """An interpreter that hosts see and the node runs on: this one, unless its path is one where each host has its own files."""
    for candidate in (sys.executable, shutil.which("python3", path=SEARCH_PATH)):
        if candidate is None or os.path.realpath(candidate).startswith(tuple(f"{place}/" for place in OWN_PLACES)):
            continue
        question = "import sys; sys.exit(sys.version_info < (3, 10))"
        if subprocess.run([candidate, "-I", "-c", question], capture_output=True, timeout=20).returncode == 0:
            return os.path.realpath(candidate)
    raise HostError(
        f"no Python 3.10 or later that local hosts could run: {sys.executable} lies where each host has files of its own",
        hint="apt install python3",
    )


def write_lab(lab: Path, name: str, nodes: int, lease_s: float, regions: Regions | None) -> None:
    """All files of a new lab: description, keys, sshd's configuration, the hosts' /etc, their disks."""
    every = machines(nodes, regions)
    for machine in every:
        for at in ("srv", "var/lib", "var/log", "var/tmp"):
            (lab / "hosts" / machine.name / at).mkdir(parents=True)
        (lab / "hosts" / machine.name / "var/tmp").chmod(0o1777)
    (lab / "ssh").mkdir()
    for key in ("key", "ssh/host_key"):
        generate_key(lab / key)
    shutil.copy(lab / "key.pub", lab / "ssh" / "authorized_keys")
    (lab / "ssh" / "sshd_config").write_text(_SSHD_CONFIG)
    user = _write_etc(lab / "etc", every)
    sshd = shutil.which("sshd", path=SEARCH_PATH)
    settings = {"name": name, "nodes": nodes, "lease_s": lease_s, "user": user, "sshd": sshd}
    settings["regions"] = regions.to_json() if regions else None
    # Last, and atomically: a directory with this file is a lab.
    (lab / "lab.json.new").write_text(json.dumps(settings))
    (lab / "lab.json.new").rename(lab / "lab.json")


def generate_key(path: Path) -> None:
    """Write a key pair. Not by ssh-keygen, which refuses users without an entry in /etc/passwd."""
    key = paramiko.ECDSAKey.generate()
    key.write_private_key_file(str(path))
    Path(f"{path}.pub").write_text(f"{key.get_name()} {key.get_base64()} tribulation lab\n")


def _write_etc(etc: Path, every: Sequence[Machine]) -> str:
    """Write the hosts' users and names; returns the login. It gets `sh` and an unlocked account, whatever it has on the machine."""
    etc.mkdir()
    uid, gid = os.geteuid(), os.getegid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = "tribulation"
    others = [line for line in Path("/etc/passwd").read_text().splitlines() if line.split(":")[0] != user]
    login = f"{user}:x:{uid}:{gid}::{HOME}:/bin/sh"
    (etc / "passwd").write_text("\n".join([login, *others]) + "\n")
    if uid == 0:
        (etc / "shadow").write_text(f"{user}:*:19000:0:99999:7:::\n")
        (etc / "shadow").chmod(0o600)
    # A name of its own for the IPv6 address: resolvers would prefer it to the other.
    names = [line for m in every for line in (f"{m.address} {m.name}", f"{m.address6} {m.name}-ipv6")]
    (etc / "hosts").write_text("\n".join(["127.0.0.1 localhost", "::1 localhost", *names]) + "\n")
    # No name server can be reached from a lab: let lookups fail at once instead of waiting for the machine's.
    (etc / "resolv.conf").write_text("")
    return user


def start_supervisor(
    lab: Path, timeout_s: float, module: str = f"{__package__}.supervisor.supervisor", kind: str = "local"
) -> subprocess.Popen[bytes]:
    """Start it detached: it survives this process. Returns when all hosts are powered on. `kind` is what `tri doctor` calls such hosts."""
    readable, writable = os.pipe()
    with open(readable, "rb", buffering=0) as answers, open(lab / "supervisor.log", "a+b") as log:
        try:
            process = subprocess.Popen(
                isolate(sys.executable, "-m", module, str(lab), str(writable)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(),
                cwd="/",
                pass_fds=(writable,),
                start_new_session=True,
            )
        finally:
            os.close(writable)
        answer = "interrupted"
        try:
            ready, _, _ = select.select([answers], [], [], timeout_s)
            late = f"no answer within {timeout_s:g} s"
            answer = answers.read(65536).decode(errors="replace").strip() if ready else late
            if answer == "ready":
                return process
        finally:
            # Also when Ctrl-C ends the waiting: no command would find a half-built lab.
            if answer != "ready":
                process.kill()
                process.wait(timeout=20)
        reason = answer or end_of(lab / "supervisor.log", 800) or "it ended and printed nothing"
    shutil.rmtree(lab, ignore_errors=True)
    hint = f"`tri doctor --hosts {kind}` tries each part by itself"
    raise HostError(f"the lab's supervisor did not start: {reason}", hint=hint)

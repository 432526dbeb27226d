"""Admission of machines: one must be able to log in, and it must not be this machine or another entry's machine.

An address proves nothing (ports are forwarded, names move), so the machine itself is asked for its identity: the kernel's boot id together with the
network namespace. Hosts that are namespaces of this machine share its kernel but have their own networks, and are admitted.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ...errors import HostError
from ..errors import ConnectError
from ..printed import understood, whole
from .places import literal
from .remote import RemoteHost

OLDEST_PYTHON = (3, 10)
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_NETWORK = "/proc/self/ns/net"
_LOOK = f"""echo "$SSH_CONNECTION"; cat {_BOOT_ID} || echo; readlink {_NETWORK} || echo
echo $(id -u; stat -c "%u %f" %s)"""
_SCOPE = re.compile(r"[A-Za-z0-9_.-]*")
_LOGIN_STEPS = 4
"""The steps of a login: the connection, the banner with the key exchange (twice as long), the key."""
SUDO = "let this login use sudo without a password (a NOPASSWD line in /etc/sudoers.d), or log in as root without `sudo: true`"


@dataclass(frozen=True, slots=True)
class Identity:
    """A running machine, or one network of it."""

    boot_id: str
    network: str


def here() -> Identity | None:
    """Return the identity of this machine; None if it cannot be read."""
    try:
        return Identity(Path(_BOOT_ID).read_text().strip(), os.readlink(_NETWORK))
    except OSError:
        return None


def admit(host: RemoteHost, timeout_s: float) -> Identity | None:
    """Log in, and read the host's identity and the controller's address as the host sees it; `timeout_s` is for each step. Raises `HostError`."""
    host.connection.connect(_LOGIN_STEPS * timeout_s)
    look = _LOOK.replace("%s", shlex.join(_ways_to(host.directory)))
    done = host.run(f"{{ {look}; }} 2>/dev/null", timeout_s=timeout_s, check=False)
    said, boot_id, network, owners = _lines(done.stdout)
    if len(said) != 4:
        text = " ".join(f"{done.stdout} {done.stderr}".split())[:200]
        raise HostError(
            f"{host.target.where}: accepts the login, but does not behave like a shell: {text or 'it prints nothing'}",
            hint="the user needs a login shell there, not one that forbids logins or commands",
        )
    # The server's own port: behind a jump host or a forwarded port, we see another one than the one that faults must exempt there.
    with understood(host.name, done.stdout, "where it sees us, and whose its directory is"):
        host.control = _control(said[0], said[3])
        user, *numbers = [whole(one, 16 if index and index % 2 == 0 else 10) for index, one in enumerate(owners)]
        found = list(zip(numbers[::2], numbers[1::2], strict=True))
    _require_own_directory(host, user, found)
    identity = Identity(boot_id[0], network[0]) if boot_id and network else None
    if identity is not None and identity == here():
        raise HostError(
            f"{host.target.where}: is this machine itself, where the harness runs",
            hint="faults would hit the harness and you: name another machine, or use --hosts local",
        )
    return identity


def _lines(text: str) -> list[list[str]]:
    """Return the words of each of the four lines; empty lists if the text has another form."""
    lines = [line.split() for line in text.splitlines()]
    return lines if len(lines) == 4 else [[], [], [], []]


def _control(address: str, port: str) -> tuple[str, int]:
    """Return address and port, which both go into firewalls. Raises `ValueError`."""
    plain = address.removeprefix("::ffff:")
    if (
        literal(plain) is None
        or not _SCOPE.fullmatch(plain.partition("%")[2])
        or not 0 < (number := whole(port)) < 1 << 16
    ):
        raise ValueError("no address and port")
    return plain, number


def _ways_to(directory: str) -> list[str]:
    """The root directory, and each directory on the path to this one."""
    path = PurePosixPath(directory)
    return [str(one) for one in (*reversed(path.parents), path)]


def _require_own_directory(host: RemoteHost, user: int, found: Sequence[tuple[int, int]]) -> None:
    """Require a directory that no other user can write to or replace: its programs run as root. `user` is this login.

    `found`: owner and mode of each existing directory on the path, the root first; for a link, those of the link itself. Missing directories will be
    created by this login.
    """
    ways = _ways_to(host.directory)
    for number, (path, (owner, mode)) in enumerate(zip(ways, found, strict=False)):
        anyone, bits = number > 0 and found[number - 1][1] & 0o002, stat.S_IMODE(mode)
        if number == len(ways) - 1 and bits & 0o022:
            whose = f"may be written by others ({bits:o})"
        elif owner not in (0, user):
            whose = (
                f"was made by user number {owner}, in a place where every user may make one"
                if anyone
                else f"belongs to user number {owner}"
            )
        elif bits & 0o002 and not bits & stat.S_ISVTX and not stat.S_ISLNK(mode):
            whose = f"may be written by others ({bits:o})"
        else:
            continue
        raise HostError(
            f"{host.target.where}: the directory {path} {whose}",
            hint="programs in it run with all privileges: make sure that only you can write to it (chown, chmod go-w), or name another `directory`",
        )


def resolve(host: RemoteHost, behind_bastion: bool) -> str:
    """Return the host's literal address for all others, because firewall rules have no names. Behind a bastion, the host itself resolves its name. Raises
    `HostError`.
    """
    if literal(host.address) is not None:
        return host.address
    found = _asked_there(host) if behind_bastion else _asked_here(host)
    ip = literal(found)
    if ip is None or ip.is_loopback:
        raise HostError(
            f"{host.target.where}: its address {host.address!r} resolves to {found or 'nothing'}",
            hint="write the IP address at which the other hosts reach it",
        )
    return found


def _asked_here(host: RemoteHost) -> str:
    try:
        return str(socket.getaddrinfo(host.address, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        message = f"{host.target.where}: its address {host.address!r} does not resolve: {error.strerror}"
        raise ConnectError(host.name, "name", message, "check `address`, or use an IP address") from None


def _asked_there(host: RemoteHost) -> str:
    said = host.run(["getent", "ahosts", host.address], check=False).stdout.split()
    return said[0] if said else ""


def same_machine(identities: Mapping[str, Identity]) -> dict[str, list[str]]:
    """Hosts that are the same machine as other hosts, with the names of those."""
    return {
        name: others
        for name, identity in identities.items()
        if (others := [other for other, its in identities.items() if its == identity and other != name])
    }


def require_means(host: RemoteHost) -> None:
    """Refuse a host without the declared privileges, or with a Python that cannot run the node."""
    require_sudo(host)
    require_python(host)


def require_sudo(host: RemoteHost) -> None:
    if not host.sudo:
        return
    done = host.run([*host.sudo, "true"], check=False)
    if done.exit_code:
        said = " ".join(done.stderr.split()) or f"exit code {done.exit_code}"
        absent = done.exit_code == 127
        what = "sudo is not installed" if absent else f"`{' '.join(host.sudo)}` is refused: {said}"
        raise HostError(f"{host.target.where}: {what}", hint=f"install sudo; or {SUDO}" if absent else SUDO)


def require_python(host: RemoteHost) -> str:
    """Return the version of the host's Python as text."""
    version = python_version(host)
    text = ".".join(map(str, version))
    if version < OLDEST_PYTHON:
        raise HostError(
            f"{host.target.where}: {host.python} is Python {text}; the node needs 3.10 or later",
            hint="install a later version there and name it in the inventory as `python:`",
        )
    return text


def python_version(host: RemoteHost) -> tuple[int, ...]:
    """Return `(major, minor, micro)` of the host's interpreter. Raises `HostError` when there is none."""
    done = host.run([host.python, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"], check=False)
    if done.exit_code in (126, 127):
        raise HostError(
            f"{host.target.where}: there is no Python: {host.python} is not found",
            hint="install Python 3.10 or later (apt install python3), or name it in the inventory as `python:`",
        )
    said = done.stdout.strip()
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,4}){2}", said):
        text = said or " ".join(done.stderr.split()) or f"exit code {done.exit_code}"
        raise HostError(
            f"{host.target.where}: {host.python} does not print its version: {text[:80]!r}", hint="is it Python?"
        )
    return tuple(int(part) for part in said.split("."))

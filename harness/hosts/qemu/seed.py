"""A machine's own files, as the tar archive on its second disk: keys, names, network. Pure."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence

from .plan import Machine, controller
from .recipe import NETWORK, USER

USER_ID = 1000
_BLOCK = 512


def seed(machine: Machine, others: Sequence[Machine], subnet: int, authorized: str, host_key: str) -> bytes:
    """Make the seed of a machine; `authorized` is the public key that may log in, as root and as `USER`; `host_key` is the machine's own, private."""
    # A default route lets limited broadcast and multicast leave; it ends on the link, where nothing forwards.
    network = f"link set eth0 up\naddr add {machine.address}/24 brd + dev eth0\nroute add default dev eth0\n"
    names = [f"{other.address} {other.name}" for other in others]
    hosts = "\n".join(["127.0.0.1 localhost", "::1 localhost", f"{controller(subnet)} controller", *names]) + "\n"
    files = {
        "etc/hostname": (0o644, 0, f"{machine.name}\n"),
        "etc/hosts": (0o644, 0, hosts),
        # No name server can be reached: let lookups fail at once.
        "etc/resolv.conf": (0o644, 0, ""),
        NETWORK.lstrip("/"): (0o644, 0, network),
        "etc/ssh/ssh_host_ecdsa_key": (0o600, 0, host_key),
        "root/.ssh/authorized_keys": (0o600, 0, authorized),
        f"home/{USER}/.ssh/authorized_keys": (0o600, USER_ID, authorized),
    }
    return _archive(files, {"root/.ssh": 0, f"home/{USER}/.ssh": USER_ID})


def _archive(files: Mapping[str, tuple[int, int, str]], folders: Mapping[str, int]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, owner in folders.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, 0o700, owner, owner
            archive.addfile(entry)
        for name, (mode, owner, text) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.uid, entry.gid = len(text.encode()), mode, owner, owner
            archive.addfile(entry, io.BytesIO(text.encode()))
    content = buffer.getvalue()
    # A disk has whole sectors.
    return content + bytes(-len(content) % _BLOCK)

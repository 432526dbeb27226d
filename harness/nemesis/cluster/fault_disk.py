"""Installation of a fault disk under a service on a host before it starts, and its removal afterwards; the data stay where they are.

Only services that report where their data live (`data_directory(host)`) can have one. Only runs whose faults need it get one: in all others it cannot be
the cause of anything. All its files are in `<directory>/fault-disk`. `agent/fault_disk` describes the disk.
"""

from __future__ import annotations

import functools
import io
import shlex
import zipfile
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from ...bytecode import with_bytecode
from ...errors import FaultError, HostError
from ...hosts.base import BOOT_HOOKS, Host
from ..agent_client.shipping import LONG_AGO, PACKAGE, bundle
from ..faults.power_models import STRICT

KINDS = frozenset({"disk", "wipe", "power"})
"""Faults that need it; without it, a host that loses its power loses nothing that was written."""
FOLDER = "fault-disk"
BOOT_HOOK = f"{BOOT_HOOKS}/10-disk"
LEAVE_S = 150.0
"""Longer than the disk itself takes at most (`fault_disk.daemon`)."""
_PARTS = tuple(f"{PACKAGE}/{name}" for name in ("__init__.py", "state/", "fault_disk/"))
_FRONT = f"import sys\nfrom {PACKAGE}.fault_disk.daemon import main\nsys.exit(main(sys.argv[1:]))\n"
_HINT = "the kernel needs FUSE (modprobe fuse) and the login needs the right to mount: root, sudo, or a user namespace"


@runtime_checkable
class OnDisk(Protocol):
    """A service that reports where on a host it keeps what must survive a power loss: one directory, without its logs and programs."""

    def data_directory(self, host: Host) -> str: ...


@functools.cache
def program() -> bytes:
    """The daemon as a zip application: the agent's sources with another front."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(bundle())) as whole, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py", LONG_AGO), _FRONT)
        for name in whole.namelist():
            if name.startswith(_PARTS):
                archive.writestr(zipfile.ZipInfo(name, LONG_AGO), whole.read(name))
    return buffer.getvalue()


def state_directory(host: Host) -> str:
    return f"{host.directory.rstrip('/')}/{FOLDER}"


def config(service: Any, host: Host) -> dict[str, str]:
    """Return the configuration of it for the host's agent; empty if the service has none."""
    if not isinstance(service, OnDisk):
        return {}
    return {"state": state_directory(host), "directory": service.data_directory(host)}


def mount(host: Host, service: OnDisk, model: str = STRICT) -> None:
    """Mount it, between installation and start of the service. A boot hook mounts it again. `model`: what a power loss loses (`power_models`)."""
    data, state = service.data_directory(host), state_directory(host)
    # As the login, which the service runs as.
    host.run(["mkdir", "-p", data])
    host.put(with_bytecode(program()), f"{state}/disk.pyz")
    serve = [*_command(host, "serve", data, state), model]
    _run(host, serve, f"{host.name}: no fault disk over {data}")
    hook = f"{host.directory.rstrip('/')}/{BOOT_HOOK}"
    script = f"#!/bin/sh\nexec {shlex.join(serve)}\n"
    host.run(
        f"if [ -d {shlex.quote(hook.rpartition('/')[0])} ]; then printf %s {shlex.quote(script)} >{shlex.quote(hook)} "
        f"&& chmod 755 {shlex.quote(hook)}; fi"
    )


def settle(host: Host, service: OnDisk) -> None:
    """Sync the files of the deployment to the disk, because the installation itself is not tested."""
    command = _command(host, "settle", service.data_directory(host), state_directory(host))
    _run(host, command, f"{host.name}: its fault disk does not sync")


def remove(host: Host, service: Any, stop: Callable[[Host], None], *, keeps: bool = True) -> bool:
    """Unmount it, after `stop` stopped its user, and remove its files; return whether there was one. Nothing is done where there is none.

    `keeps`: the data stay, so pending data is written first.
    """
    state = state_directory(host)
    if not isinstance(service, OnDisk) or host.run(["test", "-d", state], check=False).exit_code != 0:
        return False
    stop(host)
    leave = _command(host, "leave" if keeps else "drop", service.data_directory(host), state)
    _run(host, leave, f"{host.name}: its fault disk could not be removed", LEAVE_S)
    host.run([*host.sudo, "rm", "-rf", "--", state, f"{host.directory.rstrip('/')}/{BOOT_HOOK}"])
    return True


def try_on(host: Host) -> str:
    """Mount one over a scratch directory, write and read there, and unmount. Returns a description. Raises `FaultError` with a hint."""
    base = f"{host.directory.rstrip('/')}/{FOLDER}-trial"
    data, state = f"{base}/data", f"{base}/state"
    host.run(["mkdir", "-p", data])
    host.put(with_bytecode(program()), f"{state}/disk.pyz")
    try:
        _run(host, _command(host, "serve", data, state), f"{host.name}: no fault disk")
        host.run(f"cd {shlex.quote(data)} && echo kept >kept && sync kept . && echo lost >lost && cat kept lost")
    finally:
        _run(host, _command(host, "leave", data, state), f"{host.name}: a fault disk at {data} could not be removed")
        host.run([*host.sudo, "rm", "-rf", "--", base])
    return "a file system in user space that keeps unsynced data in memory"


def _command(host: Host, verb: str, data: str, state: str) -> list[str]:
    return [*host.sudo, host.python, "-I", f"{state}/disk.pyz", verb, data, state]


def _run(host: Host, command: list[str], what: str, timeout_s: float = 30.0) -> None:
    try:
        done = host.run(command, check=False, timeout_s=timeout_s)
    except HostError as error:
        raise FaultError(f"{what}: {error.message}", _HINT) from None
    if done.exit_code != 0:
        raise FaultError(f"{what}: {(done.stderr or done.stdout).strip()[-300:]}", _HINT)

"""The common part of all supervisors of labs, for any kind of host: a detached process that owns one lab.

It is process 1 of the lab's PID namespace. Any signal that kills it ends every process of the lab, and the kernel removes the
namespaces. It ends by itself when its lease is not renewed, at a request `down`, and on SIGTERM; then it also removes the lab's directory. It ends
too when another process has removed that directory: no command could find the lab.

It answers on `LAB/supervisor.sock`, one JSON line each way (`wire.py`):

| request | answer |
|---|---|
| `{"do": "status"}` | name, hosts with `on` and `boots`, seconds left of the lease; for local hosts also `between`: the means by which regions are separated |
| `{"do": "renew"}` | the lease starts again |
| `{"do": "boot", "hosts": […]}` | when it is done |
| `{"do": "power_off", "hosts": […], "lease_s": 10 or null}` | when it is done; with a lease they boot by themselves when it ends |
| `{"do": "freeze", "hosts": […], "lease_s": 10 or null}`, `{"do": "thaw", "hosts": […]}` | the same for every process of theirs, stopped and continued |
| `{"do": "renew_outages", "lease_s": 10}` | `held`: the hosts that are off or frozen on a lease, which starts again |
| `{"do": "socket", "place": "clients" or null, "family": …, "kind": …}` | a socket in that place; null: the controller's |
| `{"do": "down"}` | at once; the connection closes when the lab is gone |

Standard library only, so that it starts quickly.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from ..layout import wire
from ..layout.layout import ALIVE
from .machinery import MachineError
from .outages import Outages

_CLIENT_TIMEOUT_S = 60.0
_ACCEPT_AGAIN_S = 0.1
_LOOK_AT_OUTAGES_S = 0.1
_LOOK_AT_DIRECTORY_S = 1.0


class Supervised(Protocol):
    """A host as its supervisor sees it: on or off, as processes of this machine."""

    boots: int

    @property
    def on(self) -> bool: ...

    @property
    def frozen(self) -> bool: ...

    @property
    def addresses(self) -> Mapping[str, str]:
        """`address`, and `address6` where it has one."""
        ...

    def freeze(self) -> None: ...

    def thaw(self) -> None: ...

    def kill(self) -> None: ...


H = TypeVar("H", bound=Supervised)


class Supervisor(ABC, Generic[H]):
    """A lab of hosts of any kind: requests, leases, power. Subclasses make the hosts and connect them."""

    def __init__(self, lab: Path) -> None:
        self._lab = lab
        # Held open, so that no other directory gets its inode number.
        self._directory = os.open(lab, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        settings = json.loads((lab / "lab.json").read_text())
        self._name: str = settings["name"]
        self._lease_s: float = settings["lease_s"]
        self._expires_s = 0.0  # counted from when it serves
        self._nodes: int = settings["nodes"]
        self._hosts = self.make_hosts(settings)
        self._ending = threading.Event()
        # Power is switched by one request at a time; other requests go on meanwhile.
        self._power = threading.Lock()
        self._outages = Outages()
        self._goodbyes: list[socket.socket] = []

    @abstractmethod
    def make_hosts(self, settings: Mapping[str, Any]) -> Mapping[str, H]:
        """Make the hosts, by name; nothing runs yet."""

    @abstractmethod
    def build_surroundings(self) -> None:
        """Build what all hosts share, before the first of them boots."""

    @abstractmethod
    def boot(self, hosts: Sequence[H], unattended: bool = False) -> None: ...

    @abstractmethod
    def power_off(self, hosts: Sequence[H]) -> None: ...

    def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer requests that only this kind of supervisor knows."""
        raise MachineError(f"the supervisor does not know how to do {request.get('do')!r}")

    def socket_in(self, place: str | None, family: int, kind: int) -> socket.socket:
        raise MachineError("hosts of this lab are reached from this machine itself")

    def further_fields(self) -> Mapping[str, Any]:
        """Further fields of its status."""
        return {}

    def build(self) -> socket.socket:
        """The whole lab, running; returns the listening socket."""
        self.build_surroundings()
        # Other processes see by this lock that the lab lives. It ends with this process, and no child inherits it. Opened only now: a file open
        # for writing would have kept the root from becoming read-only.
        self._alive = open(self._lab / ALIVE, "w")  # noqa: SIM115  (held until the end)
        fcntl.flock(self._alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.boot(list(self._hosts.values()))
        os.chdir(self._lab)  # a unix socket's path is limited to 107 bytes
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(wire.SOCKET)
        listener.listen(128)
        os.chdir("/")
        return listener

    def serve(self, listener: socket.socket) -> None:
        """Serve until a request to end, until the lease is over, or until the lab's directory is gone."""
        self._expires_s = time.monotonic() + self._lease_s
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        threading.Thread(target=self._end_outages, daemon=True).start()
        while not self._ending.is_set():
            left_s = self._expires_s - time.monotonic()
            if left_s <= 0:
                _log(f"the lease of {self._lease_s:g} s was not renewed: taking the lab down")
                break
            if not self._is_there():
                _log(f"{self._lab} was removed: taking the lab down")
                break
            self._ending.wait(min(left_s, _LOOK_AT_DIRECTORY_S))

    def end(self) -> None:
        """Switch every host off, remove the lab's directory, and only then answer the requesters of `down`."""
        with self._power:
            for host in self._hosts.values():
                host.kill()
        if self._is_there():
            shutil.rmtree(self._lab, ignore_errors=True)
        _log("the lab is down")
        for sock in self._goodbyes:
            sock.close()

    def stop(self, *_: object) -> None:
        self._ending.set()

    def _is_there(self) -> bool:
        """Return whether the lab's path still leads to this lab's directory: it may be gone, or belong to a new lab of the same name."""
        try:
            return os.path.samestat(os.fstat(self._directory), os.stat(self._lab))
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True  # A disk that does not answer says nothing.

    def _accept(self, listener: socket.socket) -> None:
        """Never ends: without it, no command would reach the lab until its lease is over."""
        while True:
            try:
                client, _ = listener.accept()
            except OSError as error:
                # Perhaps out of descriptors, which end with the connections that have them.
                _log(f"a connection was not accepted: {error}")
                time.sleep(_ACCEPT_AGAIN_S)
                continue
            try:
                threading.Thread(target=self._converse, args=(client,), daemon=True).start()
            except RuntimeError as error:
                _log(f"a connection was dropped: {error}")
                client.close()

    def _converse(self, client: socket.socket) -> None:
        """Handle one request and its answer. A requester that hangs or sends nonsense costs only its own connection."""
        try:
            client.settimeout(_CLIENT_TIMEOUT_S)
            request, _ = wire.receive(client)
            if request.get("do") == "down":
                wire.send(client, {"ok": True})
                self._goodbyes.append(client)
                self._ending.set()
                return
            if request.get("do") == "socket":
                with self._socket(request) as made:
                    wire.send(client, {"ok": True}, made.fileno())
            else:
                wire.send(client, {"ok": True, **self._answer(request)})
        except MachineError as error:
            _try_send(client, {"ok": False, "error": str(error)})
        except (OSError, wire.WireError) as error:
            _log(f"a request was dropped: {error}")
        except Exception:
            _log(traceback.format_exc())
            _try_send(client, {"ok": False, "error": traceback.format_exc(limit=-1)})
        client.close()

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        match request.get("do"):
            case "status":
                return self._status()
            case "renew":
                self._expires_s = time.monotonic() + self._lease_s
            case "renew_outages":
                return {"held": self._outages.renew(float(request["lease_s"]))}
            case "boot" | "power_off" | "freeze" | "thaw" as verb:
                self._switch(verb, request["hosts"], request.get("lease_s"))
            case _:
                return dict(self.answer(request))
        return {}

    def _switch(self, verb: str, names: Sequence[str], lease_s: float | None) -> None:
        hosts = self.chosen(names)
        with self._power:
            if verb in ("power_off", "freeze"):
                # The lease first: if this fails half-way, those that are off come back.
                self._outages.lease(names, lease_s)
            if verb == "power_off":
                self.power_off(hosts)
            for host in hosts:
                if verb == "freeze":
                    host.freeze()
                elif verb == "thaw":
                    host.thaw()
            if verb == "boot":
                self.boot(hosts)
            if verb in ("boot", "thaw"):
                self._outages.end(names)

    def _end_outages(self) -> None:
        """Switch on, or continue, hosts whose lease has expired."""
        while not self._ending.wait(_LOOK_AT_OUTAGES_S):
            if not self._outages.over():
                continue
            with self._power:
                names = self._outages.over()
                _log(f"the leases of {', '.join(names)} were not renewed: power on, and go on")
                try:
                    for name in names:
                        self._hosts[name].thaw()
                    self.boot([self._hosts[name] for name in names], unattended=True)
                    self._outages.end(names)
                except (MachineError, OSError) as error:
                    _log(f"a host did not come back, trying again: {error}")

    def _status(self) -> dict[str, Any]:
        return {
            "name": self._name,
            "lease_s": self._lease_s,
            "lease_left_s": max(0.0, self._expires_s - time.monotonic()),
            **self.further_fields(),
            "hosts": [
                {
                    "name": name,
                    **host.addresses,
                    "on": host.on,
                    "frozen": host.frozen,
                    "boots": host.boots,
                }
                for name, host in self._hosts.items()
            ],
        }

    def chosen(self, names: Sequence[str]) -> Sequence[H]:
        unknown = [name for name in names if name not in self._hosts]
        if unknown:
            raise MachineError(f"no host {unknown} in lab {self._name!r}; there are {list(self._hosts)}")
        return [self._hosts[name] for name in names]

    def _socket(self, request: dict[str, Any]) -> socket.socket:
        return self.socket_in(request.get("place"), int(request["family"]), int(request["kind"]))


def _try_send(client: socket.socket, answer: dict[str, Any]) -> None:
    try:
        wire.send(client, answer)
    except OSError as error:
        _log(f"an answer was not taken: {error}")


def _log(text: str) -> None:
    """Append to the lab's log. If the disk is full, lines are lost, and the lab continues."""
    with suppress(OSError):
        os.write(2, f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {text}\n".encode("utf-8", "backslashreplace"))


def main(make: Callable[[Path], Supervisor[Any]]) -> int:
    """Run `python -m … LAB READY_FD`: writes to READY_FD when the lab is up, or why it is not."""
    lab, ready = Path(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(ready, False)
    supervisor = make(lab)
    signal.signal(signal.SIGTERM, supervisor.stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        listener = supervisor.build()
    except (MachineError, OSError) as error:
        os.write(ready, f"{error}\n".encode())
        supervisor.end()
        return 1
    os.write(ready, b"ready\n")
    os.close(ready)
    supervisor.serve(listener)
    supervisor.end()
    return 0

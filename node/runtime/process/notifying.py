"""Tells a service manager that a service is ready: one datagram to the socket that it names in `NOTIFY_SOCKET` (systemd's sd_notify(3), without its library).

Started by nobody who wants to know, it tells nobody.
"""

from __future__ import annotations

import os
import socket

VARIABLE = "NOTIFY_SOCKET"


class Notifier:
    """`told` when there is nothing more to tell."""

    def __init__(self, address: str | None) -> None:
        self._address = address
        self.told = address is None

    @classmethod
    def from_environment(cls) -> Notifier:
        """Takes the variable away: what this process starts has nothing to tell."""
        return cls(os.environ.pop(VARIABLE, None))

    def ready(self, status: str) -> None:
        """Once. A manager that does not listen changes nothing for the service."""
        self.told = True
        assert self._address is not None
        # An abstract socket is written with @, and begins with a zero byte.
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
            try:
                notify.sendto(f"READY=1\nSTATUS={status}\n".encode(), address)
            except OSError as error:
                print(f"the service manager was not told: {error}", flush=True)

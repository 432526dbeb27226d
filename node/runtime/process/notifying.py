"""Readiness notification for a service manager: one datagram to the socket named in `NOTIFY_SOCKET` (systemd's sd_notify(3), without its library).

Without that variable it sends nothing.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress

VARIABLE = "NOTIFY_SOCKET"


class Notifier:
    """Sender of the notification. `notified` is true when there is nothing more to send."""

    def __init__(self, address: str | None) -> None:
        self._address = address
        self.notified = address is None

    @classmethod
    def from_environment(cls) -> Notifier:
        """Make a notifier from the environment, and remove the variable: child processes must not notify."""
        return cls(os.environ.pop(VARIABLE, None))

    def ready(self, status: str) -> None:
        """Notify once. If the manager does not listen, the service continues all the same."""
        self.notified = True
        assert self._address is not None
        # An abstract socket is written with @, and begins with a zero byte.
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
            try:
                notify.sendto(f"READY=1\nSTATUS={status}\n".encode(), address)
            except OSError as error:
                with suppress(OSError):
                    os.write(1, f"could not notify the service manager: {error}\n".encode("utf-8", "backslashreplace"))

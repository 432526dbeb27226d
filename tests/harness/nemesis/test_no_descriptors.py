"""A host without a free descriptor, as when the system under test opens all of them: the helpers in whose hands its disk and its packets are go on."""

from __future__ import annotations

import errno
import socket
from types import SimpleNamespace
from typing import Any, NoReturn

from tribulation.harness.agent.fault_disk import control
from tribulation.harness.agent.network.queue_thread import Wire


class Full(socket.socket):
    def accept(self) -> NoReturn:
        raise OSError(errno.ENFILE, "Too many open files in system")


def test_a_connection_that_cannot_be_accepted_ends_no_fault_disk() -> None:
    asked: list[Any] = []
    with Full() as listener:
        control.answer_one(listener, lambda request: asked.append(request) or {})
    assert asked == []


def test_a_connection_that_cannot_be_accepted_ends_no_queue_of_packets() -> None:
    with Full() as listener:
        wire: Any = SimpleNamespace(_listener=listener)
        assert Wire._answer(wire) is False

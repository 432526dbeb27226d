"""A client over an ordinary driver: it dials an address of ours, and a table of exceptions maps what it raises to outcomes.

    class RedisClient(DriverClient):
        definite = (redis.exceptions.ReadOnlyError,)

        def connect(self, address, timeout_s):
            return redis.Redis(*address, socket_timeout=timeout_s)

        def read(self, op):
            return self.connection.get(op.key)

        def write(self, op):
            self.connection.set(op.key, op.value)

One method per operation, by the name of its `f` (or for one workload alone, as `bank_read`). It returns the value that was read, or an `Outcome`. An
exception becomes `info`, which is always safe: the operation may have happened, or may still happen. `definite` are the exceptions that guarantee
that nothing happened and nothing will; they become `fail`.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar

from ..base import Dial, Op, Outcome, PortDial
from ..operations import find_method
from .forwarder import Forwarder

GRACE_S = 0.2
"""Extra time for a driver whose own timeout is that of the operation."""


class DriverClient:
    """Implements `Client`. A subclass has `connect` and one method per operation; `connection` is what `connect` returned.

    `node` is the one that the client is bound to; `addresses` are all nodes' addresses in the system's own network. `served_by` is the node that
    answers, if it is another one: a client that asks another process for that node sets it in `connect`, and dials `address(node)`.
    """

    definite: ClassVar[tuple[type[Exception], ...]] = ()
    to_node: ClassVar[str | None] = None
    """The node to dial, where it is not the one that the client is bound to: for example a single server."""

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        self.options: Mapping[str, Any] = options or {}
        self.connection: Any = None
        self.node = ""
        self.addresses: Mapping[str, str] = {}
        self.served_by: str | None = self.to_node
        self._dial: Callable[[str, int | None], Callable[[], socket.socket]] | None = None
        self._forwarders: dict[tuple[str, int | None], Forwarder] = {}
        self._spare: list[socket.socket] = []

    def connect(self, address: tuple[str, int], timeout_s: float) -> Any:
        """A connection of the driver to that host and port. It should use `timeout_s` for its operations too."""
        raise NotImplementedError

    def disconnect(self) -> None:
        """End the connection; by default by its `close`, if it has one."""
        close = getattr(self.connection, "close", None)
        if callable(close):
            close()

    def method_of(self, workload: str, f: str) -> Callable[[Op], Any] | None:
        """The method for an operation: one for that workload alone, such as `bank_read`, else `read`."""
        return find_method(self, workload, f)

    def open(self, node: str, dial: Dial, timeout_s: float) -> None:
        """Open the client. Raises `ConnectionError` for an error of the driver; a mistake of the adapter (such as a `TypeError`) is raised unchanged."""
        self.node = node
        if isinstance(dial, PortDial):
            self.addresses = dial.addresses
        self._dial = lambda to, port: _dialler(dial, to, port, timeout_s)
        # A driver may connect only at its first operation; a node that refuses must be detected here.
        self._spare.append(dial(self.to_node or node, timeout_s))
        try:
            self.connection = self.connect(self.address(), timeout_s)
        except Exception as error:
            self.close()
            if _of_the_driver(error):
                raise ConnectionError(f"{type(error).__name__}: {error}") from error
            raise

    def invoke(self, op: Op, timeout_s: float) -> Outcome:
        method = self.method_of(op.workload, op.f)
        if method is None:
            raise NotImplementedError(f"{type(self).__name__} has no method {op.f!r}")
        self._set_deadline(time.monotonic() + timeout_s + GRACE_S)
        try:
            answer = method(op)
            outcome = answer if isinstance(answer, Outcome) else Outcome("ok", answer)
        except self.definite as error:
            outcome = Outcome("fail", error=type(error).__name__)
        except Exception as error:
            if not _of_the_driver(error):
                raise
            outcome = Outcome("info", error=type(error).__name__)
        finally:
            self._set_deadline(None)
        if self.served_by is None or "served_by" in outcome.extra:
            return outcome
        return replace(outcome, extra={**outcome.extra, "served_by": self.served_by})

    def address(self, node: str | None = None, port: int | None = None) -> tuple[str, int]:
        """The address with which a driver reaches that port of that node; by default the port where clients connect."""
        assert self._dial is not None, "open comes first"
        dial, where = self._dial, (node or self.to_node or self.node, port)
        if where not in self._forwarders:
            spare, reach = self._spare if where == (self.to_node or self.node, None) else [], dial(*where)
            self._forwarders[where] = Forwarder(lambda: spare.pop() if spare else reach())
        return self._forwarders[where].address

    @property
    def address_unused(self) -> bool:
        """Whether the driver has not connected to the address that `connect` was given: then faults do not cut it."""
        return bool(self._spare)

    def _set_deadline(self, deadline_s: float | None) -> None:
        for forwarder in self._forwarders.values():
            forwarder.deadline_s = deadline_s

    def close(self) -> None:
        if self.connection is not None:
            with suppress(Exception):  # It is over either way.
                self.disconnect()
            self.connection = None
        while self._forwarders:
            self._forwarders.popitem()[1].close()
        while self._spare:
            self._spare.pop().close()


def _dialler(dial: Dial, node: str, port: int | None, timeout_s: float) -> Callable[[], socket.socket]:
    if port is None:
        return lambda: dial(node, timeout_s)
    if not isinstance(dial, PortDial):
        raise TypeError(f"port {port} of {node} cannot be dialled here: only the clients' port can")
    return lambda: dial.at(node, port, timeout_s)


def _of_the_driver(error: Exception) -> bool:
    """Return whether the error is the driver's. Python's own errors, other than those of the network, are mistakes of the adapter."""
    return isinstance(error, OSError) or type(error).__module__ != "builtins"

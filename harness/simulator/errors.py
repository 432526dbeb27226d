"""Errors of a simulation itself. A fault that was injected on purpose is not an error."""

from __future__ import annotations

from ..errors import TribulationError


class SimulationError(TribulationError):
    """The simulator was misused, or a core broke the contract between core and driver."""


class ContractViolation(SimulationError):
    """A core asked for something that no driver may do, such as an order that can never hold."""


class FenceError(SimulationError):
    """Core code used a clock, chance, a socket or a thread: its runs would not repeat."""


class SafetyViolation(SimulationError):
    """An in-line check saw the cluster break a promise. The message says which, where and when."""

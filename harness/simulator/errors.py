"""Errors of a simulation itself. A fault that was injected on purpose is not an error."""

from __future__ import annotations

from ..errors import TribulationError


class SimulationError(TribulationError):
    """Misuse of the simulator, or a breach of the contract between core and driver."""


class ContractViolation(SimulationError):
    """Effect of a core that no driver may execute, such as one with an order that can never hold."""


class FenceError(SimulationError):
    """Use of a clock, random numbers, a socket or a thread by core code: its runs would not repeat."""


class SafetyViolation(SimulationError):
    """Promise that the cluster broke, found by an in-line check. The message says which, where and when."""

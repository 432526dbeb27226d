"""One function on all hosts at the same time, and every host's result kept: one failure never hides the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ..errors import HostError, TribulationError
from .base import Host

T = TypeVar("T")
_MAX_THREADS = 64


@dataclass(frozen=True, slots=True)
class Results(Generic[T]):
    """What `function` returned by host name, and what it raised by host name; each host is in exactly one of them."""

    values: Mapping[str, T]
    errors: Mapping[str, Exception]

    def require(self, what: str, error: Callable[..., TribulationError] = HostError) -> Mapping[str, T]:
        """All values; or one `error` that tells of every host that failed."""
        if not self.errors:
            return self.values
        lines = [
            f"  {name}: {failure.message if isinstance(failure, TribulationError) else _plain(failure)}"
            for name, failure in self.errors.items()
        ]
        hints = list(
            dict.fromkeys(
                failure.hint
                for failure in self.errors.values()
                if isinstance(failure, TribulationError) and failure.hint
            )
        )
        total = len(self.values) + len(self.errors)
        raise error(
            f"{what} failed on {len(self.errors)} of {total} hosts:\n" + "\n".join(lines),
            hint="; ".join(hints[:3]) or None,
        )


def on_all(hosts: Sequence[Host], function: Callable[[Host], T]) -> Results[T]:
    """Call `function(host)` for each host in a thread of its own and wait for all; each call must be bounded in time by itself."""
    values: dict[str, T] = {}
    errors: dict[str, Exception] = {}
    if not hosts:
        return Results(values, errors)
    with ThreadPoolExecutor(min(len(hosts), _MAX_THREADS), thread_name_prefix="hosts") as pool:
        futures: list[tuple[str, Any]] = [(host.name, pool.submit(function, host)) for host in hosts]
        for name, future in futures:
            try:
                values[name] = future.result()
            except Exception as failure:
                errors[name] = failure
    return Results(values, errors)


def _plain(failure: Exception) -> str:
    return f"{type(failure).__name__}: {failure}"

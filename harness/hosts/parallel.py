"""One function on all hosts at the same time, and every host's result is kept: one failure never hides the others.

results = on_all(hosts, lambda host: host.run("uname -r").stdout)
for result in results: print(result.host, result.error or result.value)
kernels = results.require("asking for the kernel")      # {name: value}, or one error that lists every host that failed
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ..errors import HostError, TribulationError
from ..foreign import in_one_process
from ..trouble import described
from .base import Host

T = TypeVar("T")
H = TypeVar("H", bound=Host)
_MAX_THREADS = 64


@dataclass(frozen=True, slots=True)
class HostResult(Generic[T]):
    """The function's result for the host of that name; or, with `error`, the exception."""

    host: str
    value: Any
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Results(Generic[T]):
    """One `HostResult` a host, in the hosts' order."""

    results: Sequence[HostResult[T]]

    def __iter__(self) -> Iterator[HostResult[T]]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    @property
    def values(self) -> Mapping[str, T]:
        return {result.host: result.value for result in self.results if result.error is None}

    @property
    def errors(self) -> Mapping[str, Exception]:
        return {result.host: result.error for result in self.results if result.error is not None}

    def require(self, what: str, error: Callable[..., TribulationError] = HostError) -> Mapping[str, T]:
        """All values; or one `error` that lists every host that failed."""
        failed = self.errors
        if not failed:
            return self.values
        known = [failure for failure in failed.values() if isinstance(failure, TribulationError)]
        hints = list(dict.fromkeys(failure.hint for failure in known if failure.hint))
        lines = [f"  {name}: {described(failure)}" for name, failure in failed.items()]
        message = f"{what} failed on {len(failed)} of {len(self.results)} hosts:\n" + "\n".join(lines)
        raise error(message, hint="; ".join(hints[:3]) or None)


def on_all(hosts: Sequence[H], function: Callable[[H], T]) -> Results[T]:
    """Call `function(host)` for each host in a thread of its own and wait for all; each call must be bounded in time by itself."""
    if not hosts:
        return Results(())
    with ThreadPoolExecutor(min(len(hosts), _MAX_THREADS), thread_name_prefix="hosts") as pool:
        return Results(tuple(pool.map(lambda host: _attempt(host, function), hosts)))


def _attempt(host: H, function: Callable[[H], T]) -> HostResult[T]:
    try:
        with in_one_process():
            return HostResult(host.name, function(host))
    except Exception as error:
        return HostResult(host.name, None, error)
    except BaseException as error:
        # User code may exit here: its exit code would be taken for a verdict's. Signals are not raised in this thread.
        return HostResult(host.name, None, HostError(described(error)))

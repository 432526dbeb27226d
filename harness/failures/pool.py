"""Work spread over processes, or over a Dask cluster, through `concurrent.futures`: results come in the order of the work, whichever worker did it.

    with LocalWorkers(jobs=4) as workers:
        for trial in in_order(workers, run_trial, tasks, window=16, lost=lost_trial):
            ...

At most `window` items are outstanding, so memory does not grow with their number. A worker that dies loses no result: outstanding work
is done again, one item at a time. An item that kills its worker a second time is given up; `lost` creates its result.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from types import TracebackType
from typing import Any, Protocol, TypeVar

from ..errors import CampaignError

Item = TypeVar("Item")
Result = TypeVar("Result")

CONNECT_S = 10


class Workers(Protocol):
    """`size` of them. `died` says whether an exception means that a worker died, not that the work failed."""

    size: int

    def submit(self, work: Callable[[Item], Result], item: Item) -> Future[Result]: ...

    def alone(self, work: Callable[[Item], Result], item: Item) -> Result:
        """Do it while nothing else runs. Raises an exception that `died` recognizes if the worker dies."""
        ...

    def died(self, error: BaseException) -> bool: ...


def in_order(
    workers: Workers,
    work: Callable[[Item], Result],
    items: Iterable[Item],
    window: int,
    lost: Callable[[Item], Result],
) -> Iterator[Result]:
    """Yield `work(item)` for each item, in their order. `items` is advanced only as results are taken: item n after result n - `window` was taken.

    Exceptions of `work` are raised here.
    """
    source = iter(items)
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    while True:
        while len(waiting) < window:
            for item in source:
                waiting.append((item, workers.submit(work, item)))
                break
            else:
                break
        if not waiting:
            return
        item, future = waiting.popleft()
        yield _result(workers, work, item, future, lost)


def _result(
    workers: Workers,
    work: Callable[[Item], Result],
    item: Item,
    future: Future[Result],
    lost: Callable[[Item], Result],
) -> Result:
    try:
        return future.result()
    except Exception as error:
        if not workers.died(error):
            raise
    try:
        return workers.alone(work, item)
    except Exception as error:
        if not workers.died(error):
            raise
        return lost(item)


class LocalWorkers:
    """`jobs` processes of this machine, started by `spawn` so that they share nothing, and ended together with this one in any case."""

    def __init__(self, jobs: int) -> None:
        self.size = jobs
        self._executor: Executor | None = None
        self._before = set(multiprocessing.active_children())

    def __enter__(self) -> LocalWorkers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=kind is None, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - self._before:
            child.terminate()

    def submit(self, work: Callable[[Item], Result], item: Item) -> Future[Result]:
        if self._executor is None:
            self._executor = _processes(self.size)
        try:
            return self._executor.submit(work, item)
        except BrokenProcessPool:
            self._executor.shutdown(wait=False)
            self._executor = _processes(self.size)
            return self._executor.submit(work, item)

    def alone(self, work: Callable[[Item], Result], item: Item) -> Result:
        with _processes(1) as executor:
            return executor.submit(work, item).result()

    def died(self, error: BaseException) -> bool:
        return isinstance(error, BrokenProcessPool)


def _processes(jobs: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)


def _begin() -> None:
    """Set up a new worker: the parent handles Ctrl-C, and without a parent the worker ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


class DaskWorkers:
    """The workers of a Dask cluster, which must have this version of Tribulation installed. Dask itself repeats work whose worker died."""

    def __init__(self, address: str) -> None:
        self._client = _dask_client(address)
        try:
            _require_this_core(address, self._client)
        except BaseException:
            self._client.close()
            raise
        self._executor = self._client.get_executor()
        threads = self._client.nthreads()
        self.size = max(1, sum(threads.values()))

    def __enter__(self) -> DaskWorkers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown(wait=False)
        self._client.close()

    def submit(self, work: Callable[[Item], Result], item: Item) -> Future[Result]:
        future: Future[Result] = self._executor.submit(work, item)
        return future

    def alone(self, work: Callable[[Item], Result], item: Item) -> Result:
        return self.submit(work, item).result()

    def died(self, error: BaseException) -> bool:
        from distributed.scheduler import KilledWorker

        return isinstance(error, KilledWorker)


_TLS_HINT = (
    "a scheduler at tls:// needs Dask's own settings distributed.comm.tls (ca-file, client.key, client.cert) here, in ~/.config/dask or as "
    "DASK_DISTRIBUTED__COMM__TLS__CA_FILE and the like; distributed.comm.require-encryption refuses tcp://"
)


def _dask_client(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError:
        raise CampaignError(
            f"--dask {address}: the package `distributed` is not installed",
            hint="pip install 'tribulation[dask]'; without it, --jobs N uses N processes of this machine",
        ) from None
    try:
        return Client(address, timeout=CONNECT_S, set_as_default=False)  # type: ignore[no-untyped-call]
    except (TypeError, RuntimeError) as error:
        # This is how Dask reports that an address and its TLS settings do not match.
        raise CampaignError(f"--dask {address}: {error}", hint=_TLS_HINT) from error
    except (OSError, TimeoutError, ValueError) as error:
        raise CampaignError(
            f"--dask {address}: no scheduler answers there within {CONNECT_S} s ({type(error).__name__}: {error})",
            hint="start one with `dask scheduler`, workers with `dask worker ADDRESS`, and give its address, for example tcp://127.0.0.1:8786",
        ) from error


def exposure(address: str) -> str | None:
    """A warning about a scheduler that would get trials unencrypted over a network; None otherwise."""
    scheme, found, place = address.rpartition("://")
    host = place.rpartition(":")[0].strip("[]")
    if (found and scheme != "tcp") or host in ("localhost", "::1") or host.startswith("127."):
        return None
    return f"{address} has no encryption and no access control: anyone who reaches the scheduler can run code on its workers and here; see docs/guides/searching.md"


def _require_this_core(address: str, client: Any) -> None:
    """Refuse a cluster in which Tribulation is missing or of another version. Dask would wait for the first without end, and the second would answer
    for other code.
    """

    # A nested function is sent as it is; any other is imported by the worker, which is what has to be tried.
    def core() -> str:
        try:
            from tribulation.node.core_source import fingerprint

            from ..search import trial  # noqa: F401

            return fingerprint()
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    answers = {"the scheduler": client.run_on_scheduler(core), **client.run(core)}
    if len(answers) == 1:
        raise CampaignError(
            f"--dask {address}: the cluster has no workers", hint=f"start some: dask worker {address} --nworkers auto"
        )
    wanted = core()
    for name, found in answers.items():
        if found != wanted:
            raise CampaignError(
                f"--dask {address}: {name} has not this Tribulation: {found!r}, not {wanted!r}",
                hint="install the same version of tribulation for the scheduler and every worker, and start them again",
            )

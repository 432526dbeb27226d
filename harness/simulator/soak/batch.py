"""Many seeds over several processes, and the shrinking of one that failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from .run import SoakResult, run_plan, run_seed

Job = tuple[int, tuple[str, ...], str | None]


def run_seeds(
    seeds: Iterable[int], flaws: tuple[str, ...] = (), aim: str | None = None, jobs: int = 1
) -> Iterator[SoakResult]:
    """Results in the order of the seeds, without their histories and clusters (they would have to be sent between processes)."""
    work = [(seed, flaws, aim) for seed in seeds]
    if jobs == 1:
        yield from map(_summary, work)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_summary, work, chunksize=4)


def shrink(result: SoakResult) -> SoakResult:
    """Drop one action after another as long as the failure stays of its kind."""
    assert result.failure is not None
    kind, progress = result.failure[0], True
    while progress:
        progress = False
        for action in result.plan.actions:
            fewer = tuple(other.number for other in result.plan.actions if other is not action)
            again = run_plan(result.plan.only(fewer))
            if again.failure is not None and again.failure[0] == kind:
                result, progress = again, True
                break
    return result


def _summary(job: Job) -> SoakResult:
    result = run_seed(*job)
    result.cluster, result.events = None, []
    return result

"""The schedule of a history: clients with one operation at a time, each with its linearization point between invocation and completion.

Operations are numbered by their linearization points: 0, 1, 2, … The points of one client's successive operations leave a gap; in it the
earlier one returns and then the later one is invoked. With `pause` 0 a client invokes at once what comes next, so that all clients have an
operation open at any time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tribulation.histories.model.columns import FAIL, INFO, OK, OPEN, Int32, Int64, UInt8

Bools = npt.NDArray[np.bool_]
TICK_NS = 1000


@dataclass(frozen=True, slots=True)
class Schedule:
    """One entry an operation, in order of linearization points. `effect`: whether it happened. `order` sorts by invocation."""

    process: Int32
    type: UInt8
    effect: Bools
    invoke: Int64
    complete: Int64
    invoke_ns: Int64
    complete_ns: Int64
    order: Int64

    def __len__(self) -> int:
        return len(self.process)


def schedule(chance: np.random.Generator, client: Int32, info_rate: float, fail_rate: float, pause: float) -> Schedule:
    """Draw a schedule: `client[i]` does operation i. After an operation of unknown outcome it goes on as a new process."""
    count = len(client)
    kind = chance.choice(
        np.array([OK, INFO, FAIL], np.uint8), count, p=[1 - info_rate - fail_rate, info_rate, fail_rate]
    )
    effect = (kind == OK) | ((kind == INFO) & (chance.random(count) < 0.5))
    start, end = _intervals(chance, client, pause)
    times = np.concatenate([start, end])
    position = np.empty(2 * count, np.int64)
    # An invocation whose outcome stays unknown has no completion in the history: positions count events that are written.
    written = np.concatenate([np.ones(count, np.bool_), kind != INFO])
    by_time = np.argsort(times, kind="stable")
    position[by_time] = np.cumsum(written[by_time]) - 1
    invoke, complete = position[:count], position[count:]
    return Schedule(
        process=_processes(client, kind),
        type=kind,
        effect=effect,
        invoke=invoke,
        complete=np.where(kind == INFO, np.int64(OPEN), complete),
        invoke_ns=invoke * TICK_NS,
        complete_ns=np.where(kind == INFO, np.int64(-1), complete * TICK_NS),
        order=np.argsort(invoke),
    )


def _intervals(
    chance: np.random.Generator, client: Int32, pause: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Start and end of each operation, around its point."""
    count = len(client)
    point = np.arange(count, dtype=np.float64)
    by_client = np.argsort(client, kind="stable")
    points, owner = point[by_client], client[by_client]
    gap = np.full(count, 1.0)
    follows = owner[1:] == owner[:-1]
    gap[:-1][follows] = (points[1:] - points[:-1])[follows]
    cut = chance.random(count)
    idle = pause * chance.random(count)
    start, end = np.empty(count), np.empty(count)
    end[by_client] = points + gap * (cut * (1 - idle) * 0.98 + 0.005)
    begins = points - 0.5
    begins[1:][follows] = (points[:-1] + gap[:-1] * (1 - (1 - cut[:-1]) * (1 - idle[:-1]) * 0.98 - 0.005))[follows]
    start[by_client] = begins
    return start, end


def _processes(client: Int32, kind: UInt8) -> Int32:
    """A client's process: a new one after each operation of unknown outcome."""
    by_client = np.argsort(client, kind="stable")
    owner = client[by_client]
    unknown = (kind[by_client] == INFO).astype(np.int64)
    before = np.cumsum(unknown) - unknown
    first = np.searchsorted(owner, owner)
    process = np.empty(len(client), np.int64)
    process[by_client] = owner + (before - before[first]) * (int(client.max(initial=0)) + 1)
    return process.astype(np.int32)

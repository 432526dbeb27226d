"""A valid history of any of the models, as columns. Equal settings give equal histories."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tribulation.histories.model.columns import Columns

from . import containers, registers
from .draft import Draft, columns_of
from .schedule import Schedule, schedule
from .transactions import few_valued_transactions, transactions


@dataclass(frozen=True, slots=True)
class Settings:
    """`operations`, and the clients that make them. `pause`: the share of its time in which a client is idle, 0 for never; rates are shares of all operations.

    `values`: how many there are, in a model that repeats them.
    """

    model: str = "register"
    operations: int = 10_000
    clients: int = 10
    keys: int = 1
    info_rate: float = 0.01
    fail_rate: float = 0.01
    pause: float = 0.5
    writes_per_key: int = 32
    values: int = 5
    seed: int = 0


MODELS = {
    "register": "register",
    "register-cas": "cas-register",
    "cas-register": "cas-register",
    "kv": "kv",
    "queue": "queue",
    "stack": "stack",
    "priority-queue": "priority-queue",
    "set": "set",
    "counter": "counter",
    "mutex": "mutex",
    "list-append": "list-append",
    "rw-register": "rw-register",
    "greatest-first": "priority-queue",
    "element-set": "set",
    "list": "list",
    "fenced-mutex": "fenced-mutex",
}
"""What can be made, and the model by which it is checked. New ones come last: a history depends on the place of its model."""

REPEATING = {"few-register": "register", "few-queue": "queue", "multi-register": "multi-register"}
"""Models whose values repeat: only a search judges them, so that large ones may stay without a verdict."""


def generate(settings: Settings) -> Columns:
    """The history. Raises `ValueError` on a model that there is not, and on a share that is none."""
    models = [*MODELS, *REPEATING]
    if settings.model not in models:
        raise ValueError(f"no model {settings.model!r}; there are {', '.join(models)}")
    for name in ("info_rate", "fail_rate", "pause"):
        if not 0 <= getattr(settings, name) < 1:
            raise ValueError(f"{name} is {getattr(settings, name)}, which is outside 0 ≤ share < 1")
    chance = np.random.default_rng([settings.seed, models.index(settings.model)])
    lock = settings.model in ("mutex", "fenced-mutex")
    count, clients = settings.operations, settings.clients
    client = containers.turns(chance, count, clients) if lock else chance.integers(0, clients, count, dtype=np.int32)
    # A client that does not know whether it holds the lock cannot go on.
    info, fail = (0.0, 0.0) if lock else (settings.info_rate, settings.fail_rate)
    plan = schedule(chance, client, info, fail, settings.pause)
    return columns_of(_draft(chance, plan, settings), plan)


def _draft(chance: np.random.Generator, plan: Schedule, settings: Settings) -> Draft:
    match settings.model:
        case "register" | "kv":
            return registers.unique_register(chance, plan, settings.keys, cas=0.0)
        case "register-cas":
            return registers.unique_register(chance, plan, settings.keys, cas=0.2)
        case "cas-register":
            return registers.few_valued_register(chance, plan, settings.values, 3)
        case "few-register":
            return registers.few_valued_register(chance, plan, settings.values, 2)
        case "few-queue":
            return containers.few_valued_fifo(chance, plan, settings.values)
        case "multi-register":
            return few_valued_transactions(chance, plan, settings.keys, settings.values)
        case "queue":
            return containers.fifo(chance, plan)
        case "stack":
            return containers.stack(chance, plan)
        case "priority-queue":
            return containers.priority(chance, plan)
        case "greatest-first":
            return containers.greatest_first(chance, plan)
        case "set":
            return containers.growing(chance, plan, "add")
        case "list":
            return containers.growing(chance, plan, "append")
        case "element-set":
            return containers.element_set(chance, plan)
        case "counter":
            return containers.counter(chance, plan)
        case "mutex":
            return containers.mutex(plan)
        case "fenced-mutex":
            return containers.fenced_mutex(plan)
        case _:
            lists = settings.model == "list-append"
            return transactions(chance, plan, max(settings.keys, 10), settings.writes_per_key, lists)

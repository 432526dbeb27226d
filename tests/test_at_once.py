"""The scheduler of `make test`, with processes that only note what they are given."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from .at_once import HOSTS_AT_ONCE, ON_HOSTS, HostsFirst

HOSTS = [f"{ON_HOSTS[number % len(ON_HOSTS)]}test_{number}.py" for number in range(9)]
LOGIC = [f"tests/checkers/test_{number}.py" for number in range(20)]


class Worker:
    """What the scheduler needs of a process: the tests that it was given, and whether it has the order to end."""

    def __init__(self) -> None:
        self.given: list[int] = []
        self.done: list[int] = []
        self.shutting_down = False
        self.gateway = SimpleNamespace(id="gw")

    def send_runtest_some(self, indices: list[int]) -> None:
        assert not self.shutting_down
        self.given += indices

    def shutdown(self) -> None:
        self.shutting_down = True

    @property
    def runnable(self) -> bool:
        """As in pytest-xdist, the last test that is known waits until there is a next one, or the order to end."""
        return len(self.given) - len(self.done) > (0 if self.shutting_down else 1)


def run(workers: int, files: list[str], seed: int, crash: bool = False) -> list[tuple[Worker, str]]:
    """Run all tests in an order drawn by `seed`; the result has the tests with the process of each. No more than `HOSTS_AT_ONCE` may run tests on hosts."""
    draw = random.Random(seed)
    tests = [f"{file}::test_{number}" for file in files for number in range(draw.randint(1, 6))]
    options: Any = SimpleNamespace(
        getvalue=lambda _: ["popen"] * workers, option=SimpleNamespace(loadscopereorder=True)
    )
    scheduler = HostsFirst(options)
    nodes: list[Any] = [Worker() for _ in range(workers)]
    for node in nodes:
        scheduler.add_node(node)
        scheduler.add_node_collection(node, tests)
    scheduler.schedule()
    ran: list[tuple[Worker, str]] = []
    while ready := [node for node in nodes if node.runnable]:
        on_hosts = [node for node in ready if tests[node.given[len(node.done)]].startswith(ON_HOSTS)]
        assert len(on_hosts) <= HOSTS_AT_ONCE
        node = draw.choice(ready)
        if crash and len(ran) == 5:
            crash = False
            nodes.remove(node)
            scheduler.remove_node(node)
            nodes.append(Worker())
            scheduler.add_node(nodes[-1])
            scheduler.add_node_collection(nodes[-1], tests)
            scheduler.schedule()
            continue
        test = node.given[len(node.done)]
        node.done.append(test)
        ran.append((node, tests[test]))
        scheduler.mark_test_complete(node, test)
    assert all(node.shutting_down for node in nodes) and not scheduler.has_pending
    assert sorted(test for _, test in ran) == sorted(tests), "each test once"
    return ran


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
@pytest.mark.parametrize("files", [HOSTS + LOGIC, HOSTS, LOGIC, HOSTS[:1]], ids=["both", "hosts", "logic", "one"])
def test_every_test_runs_once_and_two_at_most_on_hosts(workers: int, files: list[str]) -> None:
    for seed in range(20):
        run(workers, files, seed)


def test_the_first_two_take_all_files_on_hosts_before_any_other() -> None:
    ran = run(3, HOSTS + LOGIC, seed=1)
    of_each = {worker: [test.startswith(ON_HOSTS) for each, test in ran if each is worker] for worker, _ in ran}
    assert sum(any(kinds) for kinds in of_each.values()) == HOSTS_AT_ONCE
    assert all(kinds == sorted(kinds, reverse=True) for kinds in of_each.values())


def test_the_work_of_a_process_that_died_is_done_by_another() -> None:
    for seed in range(20):
        run(3, HOSTS + LOGIC, seed, crash=True)

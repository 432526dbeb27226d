"""What `make test` runs at the same time: tests that start hosts and processes two by two, and tests of pure logic next to them.

Tests on hosts wait much, and disturb each other when there are more than two of them. The first two processes of pytest-xdist take them, before
everything else; every other process has only tests of pure logic, and leaves the processors to the first two. Short files are left for the end.
"""

from __future__ import annotations

import os
from typing import Any

from xdist.scheduler import LoadFileScheduling

ON_HOSTS = tuple(
    f"tests/{folder}/"
    for folder in (
        "integration", "testbed", "conformance", "node/runtime",
        "harness/nemesis", "harness/hosts", "harness/adapters", "harness/cluster", "harness/deploy", "harness/systems",
    )
)  # fmt: skip
"""Folders whose tests start hosts and processes."""
HOSTS_AT_ONCE = 2


def yield_processors(worker: str) -> None:
    """Lower the priority of this process of pytest-xdist ("gw2") where it is not one of those that take tests on hosts."""
    if int(worker.removeprefix("gw")) >= HOSTS_AT_ONCE:
        os.nice(5)


class HostsFirst(LoadFileScheduling):
    """`--dist loadfile`, where at most `HOSTS_AT_ONCE` processes have files on hosts, and these come first."""

    def _choice(self, node: Any) -> str | None:
        """The file that `node` takes next; None where only files are left that it must not take."""
        at_work = [each for each in self.assigned_work if not each.shutting_down]
        if node in at_work[:HOSTS_AT_ONCE]:
            return next(
                (file for file in self.workqueue if file.startswith(ON_HOSTS)), next(iter(self.workqueue), None)
            )
        return next((file for file in self.workqueue if not file.startswith(ON_HOSTS)), None)

    def _assign_work_unit(self, node: Any) -> None:
        if file := self._choice(node):
            self.workqueue.move_to_end(file, last=False)
            super()._assign_work_unit(node)

    def _reschedule(self, node: Any) -> None:
        if not node.shutting_down and self._choice(node) is None:
            node.shutdown()
        else:
            super()._reschedule(node)

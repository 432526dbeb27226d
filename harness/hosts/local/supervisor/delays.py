"""Delays between the regions of a lab, where the kernel has no netem: `python -m tribulation.harness.hosts.local.supervisor.delays '{"7200":
[delay_ns, jitter_ns]}'`.

Packets of each way wait in a kernel queue. Each is released when its delay and a drawn jitter are over, and never before an
earlier one of the same way, as on a real line. It runs until it is killed, at the end of the lab.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import os
import select
import sys
import time
from dataclasses import dataclass
from random import Random

from ....agent.network.nfqueue import ACCEPT, Queue

AT_ONCE = 64
"""Packets that are read of one way before it checks whether others are due."""


@dataclass(slots=True)
class Line:
    """One way. `last_ns` is when the latest packet is released."""

    delay_ns: int
    jitter_ns: int
    last_ns: int = 0

    def due_ns(self, now_ns: int, random: Random) -> int:
        """Return when the packet that comes now is released."""
        at_ns = now_ns + self.delay_ns + (random.randint(0, self.jitter_ns) if self.jitter_ns else 0)
        self.last_ns = max(self.last_ns, at_ns)
        return self.last_ns


def run(lines: dict[int, Line]) -> None:
    queues = {number: Queue(number) for number in lines}
    random, order = Random(), 0
    due: list[tuple[int, int, int, int]] = []
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        # Not poll or epoll, whose timers are of whole milliseconds.
        wait_s = max(0, due[0][0] - time.monotonic_ns()) / 1e9 if due else None
        for queue in select.select(queues.values(), [], [], wait_s)[0]:
            number = queue.number
            for _ in range(AT_ONCE):
                packet = queue.read()
                if packet is None:
                    break
                order += 1
                at_ns = lines[number].due_ns(time.monotonic_ns(), random)
                heapq.heappush(due, (at_ns, order, number, packet.number))
        now_ns = time.monotonic_ns()
        while due and due[0][0] <= now_ns:
            _, _, number, packet_number = heapq.heappop(due)
            queues[number].verdict(packet_number, ACCEPT)


def main() -> None:
    lines = {int(number): Line(*figures) for number, figures in json.loads(sys.argv[1]).items()}
    with contextlib.suppress(OSError):
        # A line does not wait for the programs at its ends. A process without the right to a higher priority keeps its own.
        os.nice(-10)
    run(lines)


if __name__ == "__main__":
    main()

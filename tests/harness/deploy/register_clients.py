"""Clients that go on while a cluster is upgraded under them."""

from __future__ import annotations

import threading
import time
from typing import Any

from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.systems.base import Op
from tribulation.harness.systems.reference.client import ReferenceClient
from tribulation.harness.systems.reference.system import ReferenceService
from tribulation.histories import History, MemoryRecorder


class Clients:
    """Write and read registers at every node until the end; what they did is a history."""

    def __init__(self, service: ReferenceService, lab: LocalProvider) -> None:
        self._service, self._lab = service, lab
        self._recorder, self._lock, self._ended = MemoryRecorder(), threading.Lock(), threading.Event()
        self.acknowledged_s: list[float] = []
        self._threads = [threading.Thread(target=self._work, args=(number,), daemon=True) for number in range(3)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(20)

    @property
    def history(self) -> History:
        return History(self._recorder.events)

    def _record(self, process: int, kind: str, op: Op, value: Any, error: str | None = None) -> None:
        with self._lock:
            self._recorder.record(
                time.monotonic_ns(), process, kind, op.f, value, key=op.key, workload="register", level="linearizable", error=error
            )  # fmt: skip

    def _work(self, number: int) -> None:
        addresses = {host.name: host.address for host in self._lab.hosts}
        process, count = number, 0
        while not self._ended.is_set():
            client = ReferenceClient(self._service.cluster_id, tls=self._service.client_tls)
            try:
                client.open(
                    f"n{(number + count) % 3 + 1}",
                    lambda name, timeout_s: self._lab.dial(addresses[name], self._service.port, timeout_s=timeout_s),
                    1.0,
                )
            except OSError:
                count += 1
                time.sleep(0.02)
                continue
            sound = True
            while sound and not self._ended.is_set():
                count += 1
                op = Op("write", "k", count * 3 + number) if count % 2 else Op("read", "k")
                self._record(process, "invoke", op, op.value)
                outcome = client.invoke(op, 1.0)
                value = outcome.value if op.f == "read" else op.value
                self._record(process, outcome.type, op, value, outcome.error)
                if outcome.type == "ok" and op.f == "write":
                    self.acknowledged_s.append(time.monotonic())
                sound = outcome.type == "ok"
                if outcome.type == "info":
                    process += 3
            client.close()

"""etcd's locks: each is held on a lease of two seconds, which the client's process renews while it runs."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import closing, suppress
from typing import Any

from etcd import Etcd, EtcdClient, coded

from tribulation.testing import Op, Outcome

LEASE_S = 2
RENEW_S = 0.5


class LockClient(EtcdClient):
    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(options)
        self.lease, self.held = "", ""
        self.renewed: threading.Event | None = None

    def acquire(self, op: Op) -> Outcome:
        span = {"key": coded(f"{op.key}/"), "range_end": coded(f"{op.key}0"), "keys_only": True}
        if self.ask("/v3/kv/range", span).get("kvs"):
            return Outcome("fail", error="held")
        self.lease = self.ask("/v3/lease/grant", {"TTL": LEASE_S})["ID"]
        self.renewed = threading.Event()
        threading.Thread(target=self.renew, args=(self.lease, self.renewed, self.address()), daemon=True).start()
        self.held = self.ask("/v3/lock/lock", {"name": coded(op.key), "lease": self.lease})["key"]
        return Outcome("ok")

    def release(self, op: Op) -> None:
        self.stop_renewing()
        self.ask("/v3/lock/unlock", {"key": self.held})
        self.ask("/v3/lease/revoke", {"ID": self.lease})

    def renew(self, lease: str, ended: threading.Event, address: tuple[str, int]) -> None:
        other = EtcdClient(self.options)
        while not ended.wait(RENEW_S):
            other.connection = self.connect(address, LEASE_S)
            with suppress(Exception), closing(other.connection):  # Without it the lease runs out.
                other.ask("/v3/lease/keepalive", {"ID": lease})

    def stop_renewing(self) -> None:
        if self.renewed is not None:
            self.renewed.set()

    def disconnect(self) -> None:
        self.stop_renewing()
        super().disconnect()


service, client = Etcd, LockClient

"""PostgreSQL, a primary on the first host and a standby on the second that serves reads: what is written on one is read on both.

Transactions that write go to the primary; those that only read, to the client's own node. Every other write commits without waiting for its log to be on disk (`synchronous_commit = off`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from postgres import AS_POSTGRES, BIN, Postgres, PostgresClient

from tribulation.testing import Host, Op

COPY = """set -e; cd /; above={data}; while [ $above != / ]; do chmod o+x $above; above=$(dirname $above); done
chown postgres {data}; chmod 700 {data}
{basebackup} -D {data} -h {primary} -p {port} -U postgres -X stream -R -c fast"""
WAIT_S = 240.0


class PostgresStandby(Postgres):
    def runs_on(self, host: Host, cluster: Sequence[Host]) -> bool:
        return host.name in [one.name for one in cluster[:2]]

    def prepare(self, host: Host, cluster: Sequence[Host]) -> None:
        if host.name == cluster[0].name:
            super().prepare(host, cluster)
            host.run(f"echo 'host replication all all trust' >>{self.data_directory(host)}/pg_hba.conf")
            return
        basebackup, primary = " ".join([*AS_POSTGRES, f"{BIN}/pg_basebackup"]), cluster[0].address
        ready, deadline_s = f"{BIN}/pg_isready -q -h {primary} -p {self.port}", time.monotonic() + WAIT_S
        while host.run(ready, check=False).exit_code and time.monotonic() < deadline_s:
            time.sleep(0.2)
        copy = COPY.format(data=self.data_directory(host), basebackup=basebackup, primary=primary, port=self.port)
        host.run(copy, timeout_s=WAIT_S)


class StandbyClient(PostgresClient):
    def connect(self, address: tuple[str, int], timeout_s: float) -> Any:
        primary = super().connect(address, timeout_s)
        self.reader = super().connect(self.address(self.node), timeout_s)
        return primary

    def disconnect(self) -> None:
        self.reader.close()
        super().disconnect()

    def txn(self, op: Op) -> list[Any]:
        (f, key, value), *_ = op.value
        if f == "w":
            with self.connection.transaction():
                if key.endswith("1"):
                    self.connection.execute("SET LOCAL synchronous_commit = off")
                self.connection.execute("INSERT INTO b VALUES (%s, %s)", [key, value])
            return list(op.value)
        keys = [key for _, key, _ in op.value]
        found = dict(self.reader.execute("SELECT k, v FROM b WHERE k = ANY(%s)", [keys]).fetchall())
        return [[f, key, found.get(key)] for f, key, _ in op.value]


service, client = PostgresStandby, StandbyClient

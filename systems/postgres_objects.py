"""PostgreSQL, further objects on the server of `postgres.py`: transactions on registers, rows that are inserted after a look for them, counters, unique numbers, and elections with terms.

A leader leads for `LEASE_S` at most; the one that is elected then has the next term. A leader acts by `access`, which refuses a term below one that was accepted.
"""

from __future__ import annotations

from typing import Any

from postgres import Postgres, PostgresClient

from tribulation.testing import Op, Outcome

LEASE_S = 3
TABLES = """
CREATE TABLE IF NOT EXISTS x (k text PRIMARY KEY, v bigint);
CREATE TABLE IF NOT EXISTS rows_a (k text, v bigint); CREATE INDEX IF NOT EXISTS by_a ON rows_a (k);
CREATE TABLE IF NOT EXISTS rows_b (k text, v bigint); CREATE INDEX IF NOT EXISTS by_b ON rows_b (k);
CREATE TABLE IF NOT EXISTS office (k text PRIMARY KEY, term bigint, until timestamptz);
CREATE TABLE IF NOT EXISTS accepted (k text PRIMARY KEY, term bigint);
CREATE SEQUENCE IF NOT EXISTS numbers"""
UPSERT = "INSERT INTO x VALUES (%s, %s) ON CONFLICT (k) DO UPDATE SET v = excluded.v"
ADD = "INSERT INTO x VALUES (%s, %s) ON CONFLICT (k) DO UPDATE SET v = x.v + excluded.v"
ELECT = f"""INSERT INTO office VALUES (%s, 1, clock_timestamp() + interval '{LEASE_S} s') ON CONFLICT (k) DO UPDATE
SET term = office.term + 1, until = excluded.until WHERE office.until < clock_timestamp() RETURNING term"""
RESIGN = "UPDATE office SET until = '-infinity' WHERE k = %s AND term = %s AND until > clock_timestamp()"
ACCESS = """INSERT INTO accepted VALUES (%s, %s) ON CONFLICT (k) DO UPDATE
SET term = excluded.term WHERE accepted.term <= excluded.term"""


class ObjectsClient(PostgresClient):
    def connect(self, address: tuple[str, int], timeout_s: float) -> Any:
        connection = super().connect(address, timeout_s)
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(2)")
            connection.execute(TABLES)
        return connection

    def rw_register_txn(self, op: Op) -> list[Any]:
        with self.connection.transaction():
            return [[f, key, self._register(f, key, value)] for f, key, value in op.value]

    def _register(self, f: str, key: str, value: Any) -> Any:
        if f == "w":
            self.connection.execute(UPSERT, [key, value])
            return value
        return self._one("SELECT v FROM x WHERE k = %s", key)

    def insert(self, op: Op) -> Outcome | None:
        """A row in one of two tables, if neither has one of that key: both looks are predicates, and no row is there to be locked."""
        key, (a, b) = op.value
        with self.connection.transaction():
            for table in ("rows_a", "rows_b"):
                if self._one(f"SELECT v FROM {table} WHERE k = %s", key) is not None:
                    return Outcome("fail", error="exists")
            table, value = ("rows_a", a) if b is None else ("rows_b", b)
            self.connection.execute(f"INSERT INTO {table} VALUES (%s, %s)", [key, value])
        return None

    def counter_add(self, op: Op) -> None:
        self.connection.execute(ADD, [op.key, op.value])

    def counter_read(self, op: Op) -> int:
        return self._one("SELECT v FROM x WHERE k = %s", op.key) or 0

    def generate(self, op: Op) -> int:
        return int(self._one("SELECT nextval('numbers')"))

    def elect(self, op: Op) -> Outcome:
        term = self._one(ELECT, op.key)
        return Outcome("fail", error="held") if term is None else Outcome("ok", term)

    def resign(self, op: Op) -> Outcome:
        done = self.connection.execute(RESIGN, [op.key, op.value])
        return Outcome("ok") if done.rowcount else Outcome("fail", error="not-held")

    def access(self, op: Op) -> Outcome:
        done = self.connection.execute(ACCESS, [op.key, op.value])
        return Outcome("ok") if done.rowcount else Outcome("fail", error="fenced")

    def _one(self, sql: str, *values: Any) -> Any:
        found = self.connection.execute(sql, values).fetchone()
        return found[0] if found else None


service, client = Postgres, ObjectsClient

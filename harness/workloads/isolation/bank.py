"""A bank: transfers between accounts, and reads of all balances, whose sum never changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from ...systems.base import Op
from ..base import CHANGES, PREPARES, READS, Rate, Workload, WorkloadSpec, final_reads
from ..generators import Context, Generator, each, limit, sequence, stagger, until_ok
from ..register import draw_level

CREATE_TRIES = 100
CREATE_GAP_NS = 100_000_000


class BankSpec(WorkloadSpec):
    """A bank of `accounts` with `balance` each; transfers move up to `amount`; `reads` in a hundred operations read all balances."""

    judged_by: ClassVar[tuple[str, ...]] = ("bank",)

    clients: int = Field(default=5, ge=1, le=500)
    rate: Rate = 50.0
    accounts: int = Field(default=5, ge=2, le=1_000, description="number of accounts")
    balance: int = Field(default=100, ge=0, le=1_000_000_000, description="what each holds at the beginning")
    amount: int = Field(default=5, ge=1, le=1_000_000_000, description="most that one transfer moves")
    reads: int = Field(default=50, ge=1, le=99, description="per cent of operations that read all balances")


@dataclass(frozen=True)
class Bank(Workload):
    operations: ClassVar = {"create": PREPARES, "transfer": CHANGES, "read": READS}
    needs = (
        "transactions over all accounts: `create` those of a mapping that are not there yet, `transfer` an `amount` `from` one `to` another unless the first has less "
        "(a `fail`), `read` all balances by account"
    )

    name: str
    spec: BankSpec

    def load(self) -> Generator:
        """Create the accounts first: every client tries, and the first one succeeds."""
        create = Op("create", self.name, self._balances, workload=self.name)
        first = until_ok(limit(CREATE_TRIES, stagger(CREATE_GAP_NS, each(lambda _: create))))
        return sequence(first, self.spec.paced(each(self._operation)))

    def final(self, keys: tuple[str, ...]) -> Generator:
        return final_reads(self.name, keys)

    def checker_options(self) -> Mapping[str, Mapping[str, Any]]:
        return {"bank": {"total": sum(self._balances.values()), "accounts": list(self._balances)}}

    @property
    def _balances(self) -> dict[str, int]:
        return {f"a{number}": self.spec.balance for number in range(self.spec.accounts)}

    def _operation(self, context: Context) -> Op:
        draw = context.draw("op")
        if draw.randrange(100) < self.spec.reads:
            return Op("read", self.name, None, draw_level(self.spec, context), self.name)
        giver, taker = draw.sample(list(self._balances), 2)
        transfer = {"from": giver, "to": taker, "amount": 1 + draw.randrange(self.spec.amount)}
        return Op("transfer", self.name, transfer, workload=self.name)

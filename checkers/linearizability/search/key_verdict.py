"""One object's verdict, and the input of a method that judges objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tribulation.histories import Operation

from ...base.result import Anomaly, Verdict

OperationAt = Callable[[int], Operation]
"""The operation in a row of the columns."""


@dataclass(slots=True)
class KeyVerdict:
    """Verdict on one object.

    `proven_to` is the history position up to which it was shown to be linearizable, if not to the end. `order`: a legal order, as rows of the
    columns, when it was requested. `failed_cas`: how mismatches were used when not exactly.
    """

    verdict: Verdict
    method: str
    operations: int
    anomaly: Anomaly | None = None
    reason: str | None = None
    proven_to: int | None = None
    order: Sequence[int] | None = None
    failed_cas: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """The user's request. `exact`: no answer from necessary conditions; `certificate`: valid verdicts come with a legal order.

    `settings` are the checker's options.
    """

    model: str | None = None
    exact: bool = False
    certificate: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(options: Mapping[str, Any], settings: Mapping[str, Any]) -> Asked:
        return Asked(options.get("model"), bool(options.get("exact")), bool(options.get("certificate")), settings)

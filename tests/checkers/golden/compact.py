"""An answer in one line without its words: verdict, kinds, operations, figures of details and stats. What is long becomes a checksum.

V {"keys":1,"operations":7}
I stale-read@3,9 staleness_ms=2.0 %2f41 {"keys":1}      the checksum after % is of the figures in the sentence
? %0000                                                 unknown, and no figure in the reason
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from zlib import crc32

from tribulation.checkers import Anomaly, CheckResult

VERDICTS = {"valid": "V", "invalid": "I", "unknown": "?"}
LONG = 56
"""Characters from which on figures become a checksum."""

VARYING = frozenset({"peak_mb"})
"""Stats that depend on the machine."""

_FIGURE = re.compile(r"\d+(?:\.\d+)?")


def answer(result: CheckResult) -> str:
    parts = [VERDICTS[result.verdict.value], *(_anomaly(anomaly) for anomaly in result.anomalies)]
    if result.reason:
        parts.append(_figures(result.reason))
    stats = {name: value for name, value in result.stats.items() if name not in VARYING}
    if stats:
        parts.append(_text(stats, 30))
    if result.certificate is not None:
        parts.append(f"~{_checksum({key: list(order) for key, order in result.certificate.items()})}")
    return " ".join(parts)


def _anomaly(anomaly: Anomaly) -> str:
    ops = ",".join(map(str, anomaly.ops))
    details = [f"{name}={_text(value)}" for name, value in sorted(anomaly.details.items()) if value is not None]
    return " ".join([f"{anomaly.kind}@{ops}", *details, _figures(anomaly.explanation)])


def _figures(sentence: str) -> str:
    return f"%{crc32(' '.join(_FIGURE.findall(sentence)).encode()) & 0xFFFF:04x}"


def _text(value: Any, long: int = LONG) -> str:
    text = json.dumps(plain(value), separators=(",", ":"), sort_keys=True)
    return text if len(text) < long else f"#{_checksum(value)}"


def _checksum(value: Any) -> str:
    text = json.dumps(plain(value), separators=(",", ":"), sort_keys=True)
    return f"{crc32(text.encode()) & 0xFFFFFF:06x}"


def plain(value: Any) -> Any:
    """As JSON, without sentences (strings of several words)."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items() if plain(item) != ""}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(str(item) for item in value)
    text = str(value)
    return "" if " " in text else text

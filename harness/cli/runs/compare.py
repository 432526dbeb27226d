"""`tri compare A B`: two runs side by side: verdicts, faults verified, rates and latencies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

import click

from ..document import print_document
from ..options import PathType, json_option

RUN = PathType(exists=True, file_okay=False)


class _Anomaly(TypedDict, total=False):
    kind: str


class _Result(TypedDict, total=False):
    verdict: str
    anomalies: list[_Anomaly]


class _Fault(TypedDict, total=False):
    kind: str
    verified: bool


class _Figures(TypedDict, total=False):
    """The compared fields of verdict.json, with their types, because anyone may have changed the file."""

    checkers: dict[str, _Result]
    faults: list[_Fault]
    ops: dict[str, int]


@click.command("compare")
@click.argument("a", type=RUN)
@click.argument("b", type=RUN)
@json_option
def command(a: Path, b: Path, as_json: bool) -> None:
    """Compare the runs A and B by the content of their folders; no checker runs again.

    Exit code: 0 compared, for any verdicts; 2 a folder is not the folder of a run.
    """
    figures = [figures_of(run) for run in (a, b)]
    if as_json:
        print_document({"a": figures[0], "b": figures[1], "differs": differing(*figures)})
        return
    rows = [
        ("", str(a), str(b)),
        *((name, text(figures[0].get(name)), text(figures[1].get(name))) for name in names(*figures)),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for name, one, other in rows:
        mark = "  ≠" if name and one != other else ""
        click.echo(f"{name:<{widths[0]}}  {one:<{widths[1]}}  {other}{mark}")


def names(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Return the names of the figures: those of the first run in its order, then those that only the second has."""
    return list(dict.fromkeys((*a, *b)))


def differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    return [name for name in names(a, b) if a.get(name) != b.get(name)]


def text(value: Any) -> str:
    return "-" if value is None else f"{value:.1f}" if isinstance(value, float) else str(value)


def figures_of(run: Path) -> dict[str, Any]:
    """Return the figures of a run by name. Those that its folder does not have are omitted. Raises `CampaignError` for an unusable verdict.json."""
    from ...errors import CampaignError
    from ...evidence.documents import DocumentError, required_document, typed

    path, hint = run / "verdict.json", f"tri check {run} writes it again"
    verdict = required_document(path, hint)
    try:
        typed(verdict, _Figures)
    except DocumentError as error:
        raise CampaignError(error.at(path), hint) from None
    faults: dict[str, list[bool]] = {}
    for fault in verdict.get("faults", []):
        faults.setdefault(str(fault.get("kind")), []).append(bool(fault.get("verified")))
    return {
        "campaign": verdict.get("campaign"),
        "seed": verdict.get("seed"),
        "verdict": verdict.get("verdict"),
        **{f"checker {name}": _checker(result) for name, result in verdict.get("checkers", {}).items()},
        **{f"faults {kind}": f"{sum(seen)} of {len(seen)} verified" for kind, seen in sorted(faults.items())},
        **{f"operations {outcome}": count for outcome, count in verdict.get("ops", {}).items()},
        **_latencies(run / "history.jsonl"),
    }


def _checker(result: Mapping[str, Any]) -> str:
    kinds = dict.fromkeys(str(one.get("kind")) for one in result.get("anomalies", []))
    return ": ".join(filter(None, (str(result.get("verdict")), ", ".join(kinds))))


def _latencies(history: Path) -> dict[str, float]:
    """Return the rate (1/s) and the latencies (ms) of operations that ended ok."""
    import numpy as np

    from tribulation.histories import read_history
    from tribulation.histories.model.columns import OK

    if not history.is_file():
        return {}
    columns = read_history(history).columns
    ok = columns.type == OK
    if not ok.any():
        return {}
    took_ms = (columns.complete_ns[ok] - columns.invoke_ns[ok]) / 1e6
    lasted_s = max(float(columns.complete_ns[ok].max() - columns.invoke_ns.min()) / 1e9, 1e-9)
    p50, p99 = np.percentile(took_ms, [50, 99])
    return {"ok/s": round(int(ok.sum()) / lasted_s, 1), "p50 ms": round(float(p50), 1), "p99 ms": round(float(p99), 1)}

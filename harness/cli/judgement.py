"""A judged run as a person reads it: verdict, witness in one sentence, faults, folder, and the command that repeats it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from tribulation.checkers.soundness.severity import rank
from tribulation.checkers.soundness.unjudged import UNJUDGED, listed
from tribulation.histories.printable import in_a_line

from ..report import words
from ..run.outcome.verdict import Judgement
from .console import COLOURS, marked, out

SHOWN_ANOMALIES = 1
SHOWN_CAUSES = 5


def print_judgement(judgement: Judgement) -> None:
    document = judgement.document
    _print_checkers(judgement)
    _print_faults(judgement)
    ops = document["ops"]
    out.print(f"operations  ok {ops['ok']} · fail {ops['fail']} · info {ops['info']}")
    _print_causes(document.get("client_errors", ()))
    verdict = judgement.verdict.value
    expected = {True: " (as expected)", False: " (not what the campaign expects)"}.get(document["expected"], "")
    only = f" (of {', '.join(document['only'])} only: nothing else was checked)" if document.get("only") else ""
    out.print(marked("\n[bold {}]{}[/]{}{}", COLOURS[verdict], verdict, expected, only))
    _print_anomalies(judgement)
    if document["unjudged"] and UNJUDGED not in judgement.results:
        left = in_a_line(listed(document["unjudged"]))
        out.print(marked("  [yellow]unjudged[/] {}: no named checker judges these acknowledged operations", left))
    if note := (document["power_model"] or {}).get("note"):
        out.print(marked("  [yellow]power model[/] {}", note))
    for one in document["skipped"]:
        out.print(marked("  [yellow]skipped[/] {}: {}", one.get("sort") or one["fault"], one["why"]))
    for error in document["errors"]:
        out.print(marked("  [yellow]environment[/] {}", error))
    for bug in document.get("bugs", ()):
        out.print(marked("  [red]bug of Tribulation[/] {}", bug))
    seen = {fault["id"]: words.effect(fault["kind"], fault["observed"]) for fault in document["faults"]}
    for fault in document["unverified"]:
        out.print(marked("  [yellow]fault not verified[/] {}: seen: {}", fault, seen[fault] or "nothing"))
    for fault in document["not_undone"]:
        out.print(
            marked("  [yellow]fault not undone[/] {}: the line `healed` in ledger.jsonl has the observation", fault)
        )
    for gap in document["gaps"]:
        out.print(marked("  [yellow]missing {}[/] {}: {}", gap["part"], gap["name"], gap["why"]))
    for node in document["silent_after_heal"]:
        last = document["last_ok_ms"].get(node)
        since = "never" if last is None else f"last ok at {last / 1e3:.1f} s"
        out.print(marked("  [yellow]silent[/] {}: no operation was ok after everything was healed; {}", node, since))
    for fault, others in document["masked"].items():
        out.print(f"  fault {fault} had no visible effect: masked by {', '.join(others)}")
    for fault in document["without_effect"]:
        out.print(f"  fault {fault}, drawn by the search, did nothing: seen: {seen[fault] or 'nothing'}")
    label = "history" if document["expected"] is None else "run    "
    out.print(f"\n{label} {document['run']}")
    out.print(f"repeat  {document['command']}")


def _print_anomalies(judgement: Judgement) -> None:
    """Print the first `SHOWN_ANOMALIES` of each checker, causes before their consequences, and count the others."""
    shown: Counter[str] = Counter()
    found = [(name, one) for name, result in judgement.results.items() for one in result.anomalies]
    for name, anomaly in sorted(found, key=lambda item: rank(item[1].kind, item[1].ops)):
        shown[name] += 1
        if shown[name] <= SHOWN_ANOMALIES:
            out.print(marked("  [red]{}[/] {}: {}", name, anomaly.kind, anomaly.explanation))
            out.print(f"    operations {', '.join(map(str, anomaly.ops))}" if anomaly.ops else "    from traces")
    more = ", ".join(f"{count - SHOWN_ANOMALIES} by {name}" for name, count in shown.items() if count > SHOWN_ANOMALIES)
    if more:
        out.print(f"  … and more: {more}; all of them: tri check {judgement.document['run']} --json")


def _print_causes(causes: Sequence[Mapping[str, Any]]) -> None:
    """Print why operations did not end ok, and for an error of the client also where it was raised."""
    for cause in causes[:SHOWN_CAUSES]:
        # Text of the system and its client must not begin a line.
        what = in_a_line(f"{cause['type']} {words.shortened(cause['error'] or 'without a reason')}")
        message = in_a_line(f": {cause['message']}") if cause["message"] else ""
        out.print(f"            {cause['count']} × {what}{message}")
        for line in cause.get("traceback", "").splitlines():
            out.print(f"              {line}")
    if len(causes) > SHOWN_CAUSES:
        out.print(f"            and {len(causes) - SHOWN_CAUSES} more causes, see --json")


def _print_checkers(judgement: Judgement) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, result in judgement.results.items():
        note = in_a_line(result.reason or (result.anomalies[0].kind if result.anomalies else ""))
        table.add_row(name, marked("[{}]{}[/]", COLOURS[result.verdict.value], result.verdict.value), note)
    out.print(table)


def _print_faults(judgement: Judgement) -> None:
    faults = judgement.document["faults"]
    if not faults:
        return
    verified = sum(fault["verified"] for fault in faults)
    kinds = ", ".join(sorted({words.called(fault["kind"]) for fault in faults}))
    out.print(f"faults      {len(faults)} ({kinds}), {verified} verified")
    if judgement.document["power_model"]:
        out.print(f"            power loss: {judgement.document['power_model']['model']} model")
    for ability, how in words.means(judgement.document.get("backends", {})).items():
        out.print(f"            {ability}: {how}")

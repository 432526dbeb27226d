"""Results of replays as lines of text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .nodes.causes import Boot
from .nodes.cluster import ClusterReplay
from .nodes.nodes import NodeReplay, StepDifference
from .runs.simulated import SimulatedReplay
from .runs.tries import Tries

SHOWN_DIFFERENCES = 3
SHOWN_EFFECTS = 6


def describe_sources(what: str, recorded: Iterable[str | None], here: str) -> list[str]:
    """A difference of sources, printed first because it may explain everything that follows; nothing when `what` (core or simulator) is the same."""
    known = set(recorded)
    if known == {here}:
        return []
    others = sorted(core for core in known if core not in (None, "", here))
    if others:
        text = ", ".join(others)
        return [f"another {what}: recorded with {text}, this is {here}; differences may be caused by this"]
    return [f"unknown {what}: the recording does not name it; this is {here}"]


def describe_simulated(replay: SimulatedReplay, recorded_verdict: str | None) -> list[str]:
    lines = describe_sources("core", [replay.cores[0]], replay.cores[1])
    lines += describe_sources("simulator", [replay.simulators[0]], replay.simulators[1])
    record = replay.done.record
    if replay.equal:
        traced = sum(len(trace) for trace in record.traces.values())
        steps = replay.done.cluster.digest.steps
        lines.append(
            f"equal: {steps} steps, {len(record.history)} lines of history, {traced} of traces; digest {replay.digest}"
        )
        if replay.recorded is None:
            lines.append("  the run recorded no digest: its lines were compared, but not its steps")
    else:
        lines.append(f"differs: digest {replay.digest}, recorded {replay.recorded}")
        lines += [f"  {line}" for line in _where(replay)]
    verdict = replay.judgement.verdict.value
    was = "" if recorded_verdict in (None, verdict) else f" (recorded: {recorded_verdict})"
    return [*lines, f"verdict: {verdict}{was}"]


def _where(replay: SimulatedReplay) -> list[str]:
    lines: list[str] = []
    if replay.unsteady is not None:
        lines += ["two replays differ from each other: the simulator is not deterministic here", f"  {replay.unsteady}"]
    if replay.window is not None:
        window = replay.window
        lines += [
            f"the steps differ after step {window.after}, from step {window.until} at the latest; in the replay:",
            f"  {window.span}",
        ]
    elif replay.recorded == replay.digest:
        lines.append("every step is equal: the folder's files were changed, or something other than the nodes differs")
    if not replay.differences:
        lines.append("history and traces are equal: the difference is in steps that traced nothing, or in faults")
    for difference in replay.differences[:SHOWN_DIFFERENCES]:
        lines += difference.described()
    if len(replay.differences) > SHOWN_DIFFERENCES:
        lines.append(f"… and {len(replay.differences) - SHOWN_DIFFERENCES} more files differ, later")
    return lines


def describe_nodes(replays: Sequence[NodeReplay]) -> list[str]:
    """Tier A: one line for each life, below a summary."""
    steps = sum(replay.steps for replay in replays)
    nodes = len({replay.node for replay in replays})
    bad = [replay for replay in replays if replay.difference is not None]
    verdict = "all equal" if not bad else f"{len(bad)} of {len(replays)} incarnations differ"
    lines = [f"tier A: {nodes} nodes, {len(replays)} incarnations, {steps} steps: {verdict}"]
    for replay in replays:
        lines += [f"  {line}" for line in _describe_life(replay)]
    return lines


def _describe_life(replay: NodeReplay) -> list[str]:
    state = "equal" if replay.difference is None else "differs"
    notes = []
    if replay.beyond:
        notes.append(f"{replay.beyond} more traces after the last step that was recorded")
    if replay.ended is not None:
        notes.append(replay.ended)
    if replay.halted is not None:
        notes.append(f"it halted: {replay.halted.splitlines()[0]}")
    note = f" ({'; '.join(notes)})" if notes else ""
    counts = f"{replay.steps} steps, {replay.events} events, {replay.traces} traces"
    lines = [f"{replay.node} incarnation {replay.incarnation}: {counts}: {state}{note}"]
    if replay.difference is not None:
        lines += [f"  {line}" for line in describe_step(replay.difference, replay.recorded)]
    return lines


def describe_step(difference: StepDifference, of: int) -> list[str]:
    """The first step that differs: its events, and its effects now. Its recorded effects are known only by a checksum, and from the traces."""
    lines = [f"step {difference.step} of {of}, at {difference.now_ns / 1e9:.6f} s of its clock: {difference.why}"]
    for name, items in (("event", difference.events), ("effect now", difference.effects)):
        lines += [f"  {name}  {item}" for item in items[:SHOWN_EFFECTS]]
        if len(items) > SHOWN_EFFECTS:
            lines.append(f"  … and {len(items) - SHOWN_EFFECTS} more")
    return lines


def describe_cluster(replay: ClusterReplay) -> list[str]:
    """Tier B."""
    messages = replay.messages
    if replay.exact:
        lines = [f"tier B: bit-exact replay of the cluster: {replay.steps} steps of {replay.nodes} nodes, all equal"]
    else:
        lines = [f"tier B: not exact: {replay.steps} of {replay.recorded} steps were replayed and equal"]
    lines.append(
        f"  {messages.sent} messages sent, {messages.received} received: {messages.matched} of them as the replayed cores sent them; "
        f"{messages.lost} were lost"
    )
    if messages.beyond:
        lines.append(
            f"  {messages.beyond} received messages were sent after the end of their sender's recording: replayed as recorded"
        )
    lines.append(f"  {replay.timers} timers and {replay.storage} storage completions, each was requested before")
    if replay.boots:
        boots = ", ".join(f"{count} {_BOOTS[Boot(kind)]}" for kind, count in sorted(replay.boots.items()))
        lines.append(f"  {sum(replay.boots.values())} boots of nodes that had run before: {boots}")
    lines += [f"  no sent message explains it: {text}" for text in messages.unexplained[:SHOWN_DIFFERENCES]]
    lines += [f"  without a cause: {text}" for text in replay.causeless]
    lines += [f"  waits for an event that never comes: {text}" for text in replay.stuck]
    if replay.difference is not None:
        node, life, difference = replay.difference
        lines.append(f"  {node} incarnation {life} differs:")
        lines += [f"    {line}" for line in describe_step(difference, replay.recorded)]
    return lines


_BOOTS = {
    Boot.AS_WRITTEN: "with a disk as the replay wrote it",
    Boot.MORE: "with that and what was written after the recording ends",
    Boot.OTHER: "with another disk",
}


def describe_tries(tries: Tries) -> list[str]:
    """Tier C."""
    hits = len(tries.alike)
    rate = f" ({100 * hits / tries.tried:.0f} %)" if tries.tried else ""
    lines = [
        f"tier C: {hits} of {tries.tried} seeds fail in the same way{rate}: {tries.wanted.checker}/{tries.wanted.kind}"
    ]
    if tries.leader is not None:
        lines.append(
            f"  {tries.leader} led first, as recorded; of {tries.looked_at} seeds {tries.looked_at - tries.tried} elected another leader and were not counted"
        )
    for name, one in (("nearest history", tries.nearest), ("nearest that fails in the same way", tries.nearest_alike)):
        if one is not None and one.distance is not None:
            lines.append(f"  {name}: seed {one.seed}, {one.distance}")
    if not hits:
        lines.append("  nothing was reproduced: the cause is another one, or too rare for so few seeds (--tries)")
    return lines

"""Tier A: each incarnation of each node by itself. Its recorded inputs are fed to a core again, and every step must have the recorded effects.

Equal checksums at every step prove that the node does the same with the same inputs. A bug in the core is then in this process, step
by step, without a network. The sockets, threads and files of the runtime are outside: their results are the recorded ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tribulation.node.config.node import NodeConfig
from tribulation.node.core.interface.effects import Trace
from tribulation.node.core.interface.events import Received, Request, Start
from tribulation.node.errors import ConfigError
from tribulation.node.runtime.telemetry.recording import RecordedStep, Recording, effects_crc, read_recording

from ...errors import CampaignError
from ...failures.folder import recordings
from ..compare.differences import Line, first_difference, shown
from .player import Player

TIER = "tier A"


@dataclass(frozen=True, slots=True)
class Incarnation:
    """One life of a node, as recorded."""

    node: str
    number: int
    path: Path
    recording: Recording


@dataclass(frozen=True, slots=True)
class StepDifference:
    """The first step that differs from the recording. `step` counts from 1; `why` says what differed; the rest is for people."""

    step: int
    now_ns: int
    why: str
    events: Sequence[str]
    effects: Sequence[str]


@dataclass(frozen=True, slots=True)
class NodeReplay:
    """`steps` of `recorded` were replayed; all equal when `difference` is None. `ended` is why the recording ends, None for in order.

    `traces` lines of the node's trace were compared; `beyond` more were traced after the last recorded step: a killed node
    loses the last moments of its recording.
    """

    node: str
    incarnation: int
    steps: int
    recorded: int
    events: int
    traces: int
    beyond: int
    core: str | None
    ended: str | None
    halted: str | None = None
    difference: StepDifference | None = None

    def to_json(self) -> dict[str, Any]:
        difference = self.difference
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "difference"}
        figures = (
            None
            if difference is None
            else {name: getattr(difference, name) for name in difference.__dataclass_fields__}
        )
        return {**fields, "equal": difference is None, "difference": figures}


def read_incarnations(run_dir: Path) -> list[Incarnation]:
    """Read everything that a run's nodes recorded, by node and incarnation. Raises `CampaignError` with file and offset of damage."""
    return [
        Incarnation(node, int(path.stem.partition("-")[2]), path, _read(path))
        for node, paths in recordings(run_dir).items()
        for path in paths
    ]


def _read(path: Path) -> Recording:
    try:
        recording = read_recording(path)
    except ValueError as error:
        message, _, hint = str(error).partition("\nhint: ")
        raise CampaignError(message if str(path) in message else f"{path}: {message}", hint=hint or None) from error
    if recording.header:
        try:
            NodeConfig.from_json(recording.header["config"])
        except ConfigError as error:
            raise CampaignError(
                f"{path}: this release does not accept the recorded configuration: {error.message}",
                hint="replay it with the release that recorded it",
            ) from error
    return recording


def replay_incarnation(life: Incarnation, traces: Sequence[Line] = ()) -> NodeReplay:
    """Feed one life's inputs again. `traces` are the lines of the node's trace file, of all its lives."""
    recording = life.recording
    core = recording.header.get("core") if recording.header else None
    player, difference, replayed, events = None, None, 0, 0
    if recording.steps:
        player = Player(recording.header["config"])
        for number, step in enumerate(recording.steps, start=1):
            difference = play(player, number, step)
            if difference is not None:
                break
            replayed, events = replayed + 1, events + len(step.events)
    lines = [line for line in traces if line["incarnation"] == life.number]
    if difference is None and player is not None:
        difference = _traces_differ(player, lines, recording.steps[-1], replayed)
    sent_by_core = sum(isinstance(effect, Trace) for effect in player.released) if player is not None else 0
    compared = min(sent_by_core, len(lines))
    return NodeReplay(
        node=life.node,
        incarnation=life.number,
        steps=replayed,
        recorded=len(recording.steps),
        events=events,
        traces=compared,
        beyond=len(lines) - compared if difference is None else 0,
        core=core,
        ended=recording.ended,
        halted=player.halted if player is not None else None,
        difference=difference,
    )


def play(player: Player, number: int, step: RecordedStep) -> StepDifference | None:
    """Play one step; returns its difference from the recording, or None. An exception of the core or the gate is a difference."""
    try:
        effects = player.step(step.now_ns, step.events)
    except Exception as error:
        return StepDifference(
            number, step.now_ns, f"the core raised {type(error).__name__}: {error}", described(step.events), ()
        )
    crc = effects_crc(effects)
    if crc == step.effects_crc:
        return None
    why = f"its effects have the checksum {crc:08x}, recorded was {step.effects_crc:08x}"
    return StepDifference(number, step.now_ns, why, described(step.events), described(effects))


def _traces_differ(player: Player, lines: Sequence[Line], last: RecordedStep, steps: int) -> StepDifference | None:
    """Compare traces. The trace file may continue after the recording ends; until then it must equal the replay."""
    released = [effect for effect in player.released if isinstance(effect, Trace)]
    ours = [{"event": effect.event, **effect.fields} for effect in released]
    theirs = [{name: value for name, value in line.items() if name not in _OF_THE_RUNTIME} for line in lines]
    found = first_difference("trace", theirs[: len(ours)], ours[: len(theirs)])
    if found is None:
        return None
    text = found.described()
    return StepDifference(steps, last.now_ns, f"every step is equal, but the traces differ: {text[0]}", (), text[1:])


_OF_THE_RUNTIME = frozenset({"node", "incarnation", "seq", "mono_ns"})


def described(items: Sequence[Any]) -> list[str]:
    """Events or effects for people, one a line."""
    return [_described(item) for item in items]


def _described(item: Any) -> str:
    name = type(item).__name__
    if isinstance(item, Start):
        files = {file: f"{len(data)} bytes" for file, data in sorted(item.files.items())}
        return f"{name} incarnation {item.incarnation}, seed {item.seed}, files {shown(files)}"
    if isinstance(item, Received):
        return f"{name} from {item.peer}: {_short(item.message)}"
    if isinstance(item, Request):
        return f"{name} from {item.client}: {shown(item.body)}"
    return _short(item)


def _short(value: Any, most: int = 200) -> str:
    text = repr(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def replay_nodes(lives: Sequence[Incarnation], traces: Mapping[str, Sequence[Line]]) -> list[NodeReplay]:
    """Every life, each by itself."""
    return [replay_incarnation(life, traces.get(life.node, ())) for life in lives]

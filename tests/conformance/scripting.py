"""How the scenarios write their scripts, and what they ask of a scripted core afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tribulation.node.core.interface.effects import Effect
from tribulation.node.core.interface.events import Event, StorageDone

from .suite import Script, ScriptedCore


def script(**handlers: Callable[..., Sequence[Effect]]) -> Script:
    """A script from one handler a kind of event, by its class's name: `script(Start=lambda now, event: [...])`."""

    def run(now_ns: int, event: Event) -> Sequence[Effect]:
        handler = handlers.get(type(event).__name__)
        return [] if handler is None else handler(now_ns, event)

    return run


def at_start(*effects: Effect, **handlers: Callable[..., Sequence[Effect]]) -> Script:
    return script(Start=lambda now, event: list(effects), **handlers)


def done(core: ScriptedCore) -> dict[int, str | None]:
    return {event.op: event.error for event in core.of(StorageDone)}

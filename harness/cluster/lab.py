"""The hosts on which clusters are deployed: a lab of this machine, or the machines of an inventory."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from types import FrameType

from ..hosts.base import Host, Provider
from ..hosts.selection.chosen import Chosen, chosen, provider_of
from ..hosts.ssh.claims import Claims
from ..run.interrupts import SIGNALS, Interrupts


@dataclass(frozen=True, slots=True)
class Lab:
    """`hosts` are up and in order; deployments take the first ones."""

    hosts: Sequence[Host]
    provider: Provider


@contextmanager
def lab(nodes: int, hosts: str | None, name: str, *, take_over: bool = False) -> Iterator[Lab]:
    """Hosts that are up while the block runs. `hosts` is as in `--hosts`, None for local ones. A lab has `nodes` hosts, and its name is `name` with this process's pid; an inventory has its own number of hosts, and is claimed.

    However the block ends, by Ctrl-C or a signal that means the same, everything that was brought up is taken down.
    """
    choice = Chosen("local", nodes) if hosts is None else replace(chosen(hosts), nodes=nodes)
    # Each use has its own lab: two at the same time cannot meet, and `tri hosts list` shows one that was killed.
    provider = provider_of(choice, name=f"{name}-{os.getpid()}")
    with _as_interrupts():
        try:
            up = list(provider.up())
            ours = choice.provider == "local"
            with nullcontext() if ours else Claims(up, f"tri {name}", take_over=take_over).held():
                yield Lab(up, provider)
        finally:
            with Interrupts().handled():
                provider.down()


@contextmanager
def _as_interrupts() -> Iterator[None]:
    """Have signals that end a process raise `KeyboardInterrupt`, as Ctrl-C does, so that `finally` blocks run."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, interrupt)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""Events of the nodes on hosts, without delay, for faults that wait for them: a process on each host follows what its node writes (`agent/follow.py`).

A system without traces can only report its leader on request; it is then queried regularly.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ...errors import FaultError, TribulationError
from ...hosts.base import Channel, Host
from ...hosts.parallel import on_all
from ...hosts.printed import parsed_json
from ...systems.answers import leader_of
from ...systems.base import Dial, Service
from ...trouble import Trouble
from ..agent_client.shipping import agent_directory, agent_program
from ..faults.triggers import SPARE_NS, TRACED, Happened
from .control import Followed

START_S = 60.0
SILENT_S = 5.0
"""A follower reports that it lives twice a second."""
AGAIN_S = 0.5
ASK_S = 0.05
JOIN_S = 2.0


class Following:
    """Context manager that reports the `events` of a service while it is open. `notify` is called from threads of its own; `clock` gives the run's time
    in ns.
    """

    def __init__(
        self,
        hosts: Sequence[Host],
        service: Service,
        dial: Dial,
        events: Collection[str],
        notify: Callable[[Happened], None],
        clock: Callable[[], int],
        trouble: Trouble | None = None,
    ) -> None:
        self._trouble = trouble or Trouble()
        self._hosts, self._service, self._dial = hosts, service, dial
        self._events, self._notify, self._clock = frozenset(events), notify, clock
        self._ended = threading.Event()
        self._channels: dict[str, Channel] = {}
        self._threads: list[threading.Thread] = []
        self._leader: str | None = None

    def __enter__(self) -> Following:
        """Start to follow. Raises `FaultError` if a host's node cannot be followed."""
        if not self._events:
            return self
        if isinstance(self._service, Followed):
            self._channels = dict(on_all(self._hosts, self._follow).require("following the nodes", FaultError))
            self._threads = [self._thread(self._listen, host) for host in self._hosts]
        else:
            self._threads = [self._thread(self._ask)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for channel in self._channels.values():
            channel.close()
        deadline_s = time.monotonic() + JOIN_S
        for thread in self._threads:
            thread.join(timeout=max(0.0, deadline_s - time.monotonic()))

    def _thread(self, turn: Callable[..., None], *host: Host) -> threading.Thread:
        return threading.Thread(target=self._run, args=(turn, *host), name="following", daemon=True)

    def _run(self, turn: Callable[..., None], *host: Host) -> None:
        """Run turn after turn; an error in one is reported, and the next begins slightly later."""
        while not self._ended.is_set():
            with self._trouble.caught(f"following {host[0].name if host else 'the leader'}"):
                turn(*host)
                continue
            self._ended.wait(AGAIN_S)

    def _follow(self, host: Host) -> Channel:
        assert isinstance(self._service, Followed)
        found = self._service.followed(host)
        asked = {
            "trace": found.get("trace"),
            "events": {line: event for line, event in TRACED.items() if event in self._events},
            "files": {path: event for path, event in found.get("files", {}).items() if event in self._events},
            "spare_s": SPARE_NS / 1e9,
        }
        program = [host.python, "-I", agent_program(host.directory), "follow", agent_directory(host.directory)]
        channel = host.start([*host.sudo, *program, json.dumps(asked)], timeout_s=START_S)
        first = _line_of(channel.read_line(START_S))
        if first["event"] != "":
            channel.close()
            raise FaultError(
                f"{host.name}: the process that follows the node's trace printed {first!r} first",
                "was agent.pyz replaced?",
            )
        return channel

    def _listen(self, host: Host) -> None:
        try:
            line = _line_of(self._channels[host.name].read_line(SILENT_S))
        except (TribulationError, OSError, ValueError):
            # The host is off, frozen or booting, or the run is over.
            self._again(host)
            return
        if line["event"]:
            self._notify(Happened(line["event"], host.name, self._clock() - line["age_ns"]))

    def _again(self, host: Host) -> None:
        self._channels[host.name].close()
        while not self._ended.wait(AGAIN_S):
            try:
                self._channels[host.name] = self._follow(host)
            except (TribulationError, OSError, ValueError):
                continue
            return

    def _ask(self) -> None:
        self._ended.wait(ASK_S)
        asked_ns = self._clock()
        now = leader_of(self._service, self._hosts, self._dial)
        if now is not None and now != self._leader:
            self._notify(Happened("leader-elected", now, asked_ns))
        self._leader = now


def _line_of(text: str) -> dict[str, Any]:
    """Parse a follower's line: an event ("" for a sign of life) and how old it is. Raises `ValueError` for anything else."""
    line = parsed_json(text)
    if not isinstance(line, dict) or not isinstance(line.get("event"), str):
        raise ValueError(f"no event: {text[:200]!r}")
    if line["event"] and not isinstance(line.get("age_ns"), int):
        raise ValueError(f"the age of the event is missing: {text[:200]!r}")
    return line


def events_of(intents: Collection[Any]) -> frozenset[str]:
    """Return the events that these intents wait for."""
    waits: list[Mapping[str, Any]] = [intent.on for intent in intents if intent.on is not None]
    return frozenset(on["event"] for on in waits)

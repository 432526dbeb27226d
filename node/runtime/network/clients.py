"""Connected clients, and the choice of the one to close when there are too many, so that no address can keep the others out.

Below the bound no client is refused and none is closed for being idle. At the bound, the candidate to be closed is the client that was idle for
longest at the address with the most clients. A new client replaces it if the new one comes from another address, or if the candidate has been idle
for `client_idle_ns`. So each of n addresses can get 1/n of the places, and connections that are left open do not accumulate.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from ..options import Limits
from ..telemetry.rates import origin


class Client(Protocol):
    """One connected client. `host` is its address. `active_ns` is the time of its last request, or of its connection. `waiting`: it waits for an
    answer.
    """

    name: str
    host: str

    @property
    def active_ns(self) -> int: ...

    @property
    def waiting(self) -> bool: ...

    def close(self, reason: str) -> None: ...

    def abandon(self, reason: str) -> None: ...

    def reply(self, payload: bytes) -> None: ...


class Clients:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_name: dict[str, Client] = {}
        self._by_origin: dict[str, dict[str, Client]] = {}
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._by_name)

    def get(self, name: str) -> Client | None:
        return self._by_name.get(name)

    def admit(self, client: Client, now_ns: int) -> str | None:
        """Admit a new client. Returns the reason when it may not stay, or None."""
        if len(self._by_name) >= self._limits.clients and not self._make_room(origin(client.host), now_ns):
            return f"{len(self._by_name)} clients are connected already"
        self._by_name[client.name] = client
        self._by_origin.setdefault(origin(client.host), {})[client.name] = client
        return None

    def left(self, client: Client) -> None:
        if self._by_name.get(client.name) is client:
            del self._by_name[client.name]
            held = self._by_origin[origin(client.host)]
            del held[client.name]
            if not held:
                del self._by_origin[origin(client.host)]

    def _make_room(self, newcomer: str, now_ns: int) -> bool:
        most = max(self._by_origin, key=lambda who: len(self._by_origin[who]))
        victim = _idlest(self._by_origin[most].values())
        fair = newcomer != most and len(self._by_origin.get(newcomer, ())) < len(self._by_origin[most])
        idle = not victim.waiting and now_ns - victim.active_ns >= self._limits.client_idle_ns
        if not fair and not idle:
            return False
        self.evicted += 1
        victim.close("its place is needed for another client")
        return len(self._by_name) < self._limits.clients


def _idlest(clients: Iterable[Client]) -> Client:
    """Clients without a pending request go before those with one."""
    return min(clients, key=lambda client: (client.waiting, client.active_ns))

"""Questions and requests to a running reference cluster, over its clients' port: its leader, a node's status, other voters, a member's leaving."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from ...errors import DeployError
from ...hosts.base import Host
from ..base import Dial
from . import requests
from .client import ReferenceClient

if TYPE_CHECKING:
    import ssl

ASK_S = 1.0
_LEAVE_STEP_S = 0.2


class ReferenceQuestions(ABC):
    """`client_tls` is the TLS context of this cluster's clients; None: no TLS."""

    client_tls: ssl.SSLContext | None

    @property
    @abstractmethod
    def cluster_id(self) -> str: ...

    def leader(self, hosts: Sequence[Host], dial: Dial) -> str | None:
        """The leader in the highest term, by its own report."""
        with ThreadPoolExecutor(max_workers=max(1, len(hosts))) as pool:
            return requests.reported_leader(pool.map(lambda host: self.ask(host.name, dial, requests.STATUS), hosts))

    def status(self, host: Host, dial: Dial) -> Mapping[str, Any] | None:
        status = self.ask(host.name, dial, requests.STATUS)
        state = self.ask(host.name, dial, requests.DIGEST)
        if status is None or state is None:
            return None
        # The digest last: its index belongs to it.
        answer = {**status, **state}
        return {name: value for name, value in answer.items() if name not in ("id", "status")}

    def set_voters(self, hosts: Sequence[Host], dial: Dial, voters: Mapping[str, int], timeout_s: float) -> None:
        """Move the weights through the log. Raises `DeployError` when they are not active in time."""
        deadline_s = time.monotonic() + timeout_s
        answer: Mapping[str, Any] | None = None
        while (left_s := deadline_s - time.monotonic()) > 0:
            node = self.leader(hosts, dial) or hosts[0].name
            answer = self.ask(node, dial, requests.set_voters(voters, requests.milliseconds(left_s)), left_s)
            if requests.is_ok(answer):
                return
            time.sleep(min(0.1, max(0.0, deadline_s - time.monotonic())))
        raise DeployError(
            f"voters {dict(voters)} were not in force within {timeout_s:g} s; the last answer was {answer}",
            hint="the change needs a leader and a quorum of the old and the new weights",
        )

    def hand_over(self, hosts: Sequence[Host], dial: Dial, to: str, timeout_s: float) -> None:
        """Ask until a node other than the previous leader leads, or `to` does. Raises `DeployError` when no leader could be asked."""
        deadline_s = time.monotonic() + timeout_s
        before = self.leader(hosts, dial)
        while (left_s := deadline_s - time.monotonic()) > 0:
            leader = self.leader(hosts, dial)
            if leader is not None and (leader == to or before not in (None, leader)):
                return
            before = before or leader
            if leader is not None:
                body = requests.hand_over(to, requests.milliseconds(min(left_s, ASK_S)))
                self.ask(leader, dial, body, min(left_s, 2 * ASK_S))
        if before is None:
            hint = "the change needs a leader: is there a quorum?"
            raise DeployError(f"there was no leader that could hand over to {to} within {timeout_s:g} s", hint=hint)

    def leave(self, hosts: Sequence[Host], dial: Dial, node: str, timeout_s: float) -> None:
        """Ask until the node is not a member and votes no more. Raises `DeployError` when that takes too long."""
        deadline_s = time.monotonic() + timeout_s
        answer: Mapping[str, Any] | None = None
        while True:
            leader = self.leader(hosts, dial)
            members = self.members(hosts, dial)
            if members is not None and node not in members:
                return
            if time.monotonic() >= deadline_s:
                break
            body = requests.leave(node, requests.milliseconds(ASK_S))
            answer = self.ask(leader, dial, body, 2 * ASK_S) if leader is not None else answer
            time.sleep(_LEAVE_STEP_S)
        raise DeployError(
            f"{node} did not leave the members within {timeout_s:g} s; the last answer was {answer}",
            hint="its agents must find room elsewhere, and there must be a quorum",
        )

    def members(self, hosts: Sequence[Host], dial: Dial) -> Mapping[str, str] | None:
        """The state of each, as the leader has it in the log; None when no node leads, or answers."""
        leader = self.leader(hosts, dial)
        body = requests.view("members", {}, "linearizable", requests.milliseconds(ASK_S))
        answer = self.ask(leader, dial, body, 2 * ASK_S) if leader is not None else None
        if answer is None or not requests.is_ok(answer):
            return None
        try:
            return {name: str(record["state"]) for name, record in answer["results"][0].items()}
        except (LookupError, TypeError, AttributeError):
            return None

    def ask(self, node: str, dial: Dial, body: Mapping[str, Any], timeout_s: float = ASK_S) -> Mapping[str, Any] | None:
        """Send one administrative request; Return None when the node does not answer."""
        client = ReferenceClient(self.cluster_id, "service", self.client_tls)
        deadline_s = time.monotonic() + timeout_s
        try:
            client.open(node, dial, timeout_s)
            return client.request(body, deadline_s - time.monotonic())
        except OSError:
            return None
        finally:
            client.close()

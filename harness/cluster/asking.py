"""Questions and commands to a running cluster, node by node, over connections that are kept.

    asker = Asker("reference", dial)
    asker.status("n1")["leader"]
    asker.do("n1", "agents.spawn", {"agent": "a1", "type": "code", "on": "n2"}, settle=True)["record"]
    asker.members("n2")

One thread uses an `Asker`. Answers have the protocol's form (docs/reference/protocol.md), without `id`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..systems.base import Dial
from ..systems.reference import requests
from ..systems.reference.client import ReferenceClient
from ..systems.reference.requests import Json
from .waiting import STEP_S, Missed

if TYPE_CHECKING:
    import ssl

ANSWER_S = 5.0
MARGIN_S = 0.5
"""How much longer the client waits than the node, so that the node's reason still arrives."""
AGAIN = ("no-quorum", "leader-changed", "busy", "not-leader", "not-active", "timeout")
"""Transient errors (a wrongly suspected member is ACTIVE again soon): the same command may be sent again, because it has no effect the second time."""


class Refused(Exception):
    """The cluster's answer is not `ok`. `answer` is the whole answer."""

    def __init__(self, node: str, asked: str, answer: Json) -> None:
        self.answer = answer
        self.error = str(answer.get("error", answer.get("status")))
        super().__init__(f"{node} answered {asked} with {self.error}: {answer.get('message', '')}".rstrip(": "))


class Asker:
    """`dial(node, timeout_s)` gives a socket to a node's client port; `tls` is for nodes with certificates."""

    def __init__(self, cluster: str, dial: Dial, tls: ssl.SSLContext | None = None) -> None:
        self._cluster = cluster
        self._tls = tls
        self._dial = dial
        self._clients: dict[str, ReferenceClient] = {}

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def ask(self, node: str, body: Json, timeout_s: float = ANSWER_S) -> Json:
        """Send one request, again on a new connection if the kept one was broken. Raises `OSError` when the node does not answer."""
        deadline_s = time.monotonic() + timeout_s + MARGIN_S
        known = self._clients.get(node)
        if known is not None:
            try:
                return known.request(body, max(0.01, deadline_s - time.monotonic()))
            except TimeoutError:
                self.forget(node)
                raise
            except OSError:
                # It broke between requests. The commands of the cluster are harmless when they are sent twice.
                self.forget(node)
        client = ReferenceClient(self._cluster, "asker", self._tls)
        client.open(node, self._dial, max(0.01, min(timeout_s, deadline_s - time.monotonic())))
        self._clients[node] = client
        try:
            return client.request(body, max(0.01, deadline_s - time.monotonic()))
        except OSError:
            self.forget(node)
            raise

    def forget(self, node: str) -> None:
        """Drop the connection, for example after the node was killed."""
        client = self._clients.pop(node, None)
        if client is not None:
            client.close()

    def status(self, node: str, timeout_s: float = 1.0) -> Json | None:
        """The node's own report; None if it does not answer."""
        try:
            answer = self.ask(node, requests.STATUS, timeout_s)
        except OSError:
            return None
        return answer if requests.is_ok(answer) else None

    def do(
        self,
        node: str,
        command: str,
        fields: Json,
        *,
        settle: bool = False,
        timeout_s: float = ANSWER_S,
        patient: bool = True,
    ) -> Json:
        """Send a command to the cluster through this node. `settle`: return only when it is done (the agent runs, the task is over), not when it is recorded.

        `patient`: repeat it after transient errors. Raises `Refused`, and `Missed` when the node does not answer at all.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            left_s = max(0.01, deadline_s - time.monotonic())
            body = requests.command(command, fields, requests.milliseconds(left_s), settle)
            try:
                answer = self.ask(node, body, left_s)
            except OSError as error:
                if not patient or time.monotonic() + STEP_S >= deadline_s:
                    raise Missed(f"{node} did not answer {command} within {timeout_s:g} s ({error})") from None
                time.sleep(STEP_S)
                continue
            if requests.is_ok(answer):
                if settle and answer.get("awaited") is False:
                    raise Missed(
                        f"{command} through {node} was not done within {timeout_s:g} s; its record: {answer.get('record')}"
                    )
                return answer
            passing = patient and answer.get("error") in AGAIN
            if not passing or time.monotonic() + STEP_S >= deadline_s:
                raise Refused(node, command, answer)
            time.sleep(STEP_S)

    def view(
        self, node: str, name: str, fields: Json | None = None, level: str = "linearizable", timeout_s: float = ANSWER_S
    ) -> Any:
        """The state of a replicated application. Raises `Refused`, and `OSError` when the node does not answer."""
        answer = self.ask(node, requests.view(name, fields or {}, level, requests.milliseconds(timeout_s)), timeout_s)
        if not requests.is_ok(answer):
            raise Refused(node, f"view {name}", answer)
        return answer["results"][0]

    def looked(
        self, node: str, name: str, fields: Json | None = None, level: str = "linearizable", timeout_s: float = ANSWER_S
    ) -> Any:
        """A view for repeated queries: None when there is no answer or a refusal."""
        try:
            return self.view(node, name, fields, level, timeout_s)
        except (OSError, Refused):
            return None

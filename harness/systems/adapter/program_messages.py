"""Messages between a run and a client program: one JSON object a line, on the program's standard input and output. Pure.

docs/reference/client-programs.md has the protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from tribulation.histories.files.codec import refuse_repeats

from ..base import Outcome
from ..plain import plain, refuse_large, refuse_taken

PROTOCOL = 1
EXCERPT = 80
"""Characters of a wrong line in a message."""

Ns = Annotated[int, msgspec.Meta(ge=0)]
Stamp = Ns | Annotated[str, msgspec.Meta(pattern="^[0-9]{1,19}$")]
"""CLOCK_MONOTONIC in ns; as a text of digits in languages whose numbers are not exact."""


class Address(msgspec.Struct):
    """Address at which a port of a node is reached: a forwarder on this machine that faults cut."""

    host: str
    port: int


class Hello(msgspec.Struct, tag_field="do", tag="hello"):
    """The first request: is the program there?"""

    id: Ns
    protocol: int


class Setup(msgspec.Struct, tag_field="do", tag="setup"):
    """The second request. `addresses`: by node, then by the port's name; `client` is the port where clients connect. `network`: the nodes' own addresses."""

    id: Ns
    node: str
    addresses: dict[str, dict[str, Address]]
    network: dict[str, str]
    options: dict[str, Any]
    deadline_ns: Ns


class Invoke(msgspec.Struct, tag_field="do", tag="invoke"):
    """One operation. `deadline_ns`: CLOCK_MONOTONIC, when its answer counts as missing."""

    id: Ns
    f: str
    key: Any
    value: Any
    level: str
    workload: str
    deadline_ns: Ns


class Answer(msgspec.Struct, forbid_unknown_fields=True):
    """Answer of the program. `id` is that of the request. The stamps are for operations: before the first byte is sent, and after the last one is
    received.
    """

    id: Ns
    type: Literal["ok", "fail", "info"]
    value: Any = None
    error: str | None = None
    served_by: str | None = None
    invoked_ns: Stamp | None = None
    completed_ns: Stamp | None = None
    extra: dict[str, Any] = {}


Request = Hello | Setup | Invoke


class WrongAnswer(ValueError):
    """Error in an answer, as the end of a sentence that begins with the program's name."""


def answer_of(line: bytes, request: int) -> Answer:
    """The answer to that request. Raises `WrongAnswer`."""
    try:
        answer = msgspec.json.decode(line, type=Answer)
        refuse_repeats(line)
    except msgspec.ValidationError as error:
        raise WrongAnswer(f"answered {excerpt(line)}: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WrongAnswer(f"wrote a line that is not JSON: {excerpt(line)} ({error})") from None
    except ValueError as error:
        raise WrongAnswer(f"answered {excerpt(line)}: {error}") from None
    if answer.id != request:
        raise WrongAnswer(f"answered request {answer.id}, and {request} is the open one")
    return answer


def outcome_of(answer: Answer, sent_ns: int, received_ns: int) -> Outcome:
    """The outcome of an operation. Raises `WrongAnswer` for stamps outside of the time from when the request was sent until its answer was received, and for what no history can hold."""
    invoked_ns, completed_ns = _stamp(answer.invoked_ns, "invoked_ns"), _stamp(answer.completed_ns, "completed_ns")
    if invoked_ns < sent_ns:
        raise WrongAnswer(f"stamped invoked_ns {_ms(sent_ns - invoked_ns)} before the request was sent")
    if completed_ns > received_ns:
        raise WrongAnswer(f"stamped completed_ns {_ms(completed_ns - received_ns)} after its answer was received")
    if completed_ns < invoked_ns:
        raise WrongAnswer(f"stamped completed_ns {_ms(invoked_ns - completed_ns)} before invoked_ns")
    stamps: Mapping[str, Any] = {"client_ns": [invoked_ns - sent_ns, completed_ns - sent_ns]}
    try:
        value, extra = plain(answer.value, "answered a value that"), plain(answer.extra, "answered an extra that")
        refuse_taken(extra, "answered with extra")
        refuse_large([value, extra, answer.error], "answered with a line that")
    except (TypeError, ValueError) as error:
        raise WrongAnswer(str(error)) from None
    served_by = {} if answer.served_by is None else {"served_by": answer.served_by}
    return Outcome(answer.type, value, answer.error, {**extra, **served_by, **stamps})


def _stamp(given: Stamp | None, name: str) -> int:
    if given is None:
        raise WrongAnswer(f"answered an operation without {name}")
    return int(given)


def _ms(ns: int) -> str:
    return f"{ns / 1e6:.6g} ms"


def excerpt(line: bytes) -> str:
    text = line[: 4 * EXCERPT].decode(errors="backslashreplace")
    return repr(text if len(text) <= EXCERPT else f"{text[:EXCERPT]}…")

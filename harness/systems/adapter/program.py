"""A client in any language: a program that reads requests and writes answers, one JSON object a line.

    class NodeClient(ProgramClient):
        command = ["node", "client.js"]
        operations = {"read", "write", "cas"}

Each client is a process of its own, with one program. docs/reference/client-programs.md has the protocol.
"""

from __future__ import annotations

import inspect
import shutil
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from ...errors import DeployError, shown
from ..base import Op, Outcome
from .driver import DriverClient
from .given import words
from .program_messages import (
    PROTOCOL,
    Address,
    Answer,
    Hello,
    Invoke,
    Request,
    Setup,
    WrongAnswer,
    answer_of,
    outcome_of,
)
from .program_process import BrokenProtocol, Program, ProgramEnded, ProgramError, ProgramSilent

GRACE_S = 0.2
"""How much longer than an operation's time its answer is awaited."""
START_S = 30.0
"""Time for a program to start and to answer the first request."""
CLIENT_PORT = "client"
"""The name of the port where clients connect."""
CLIENT_ERROR = "client-error"
_ERRORS: Mapping[type[Exception], str] = {
    ProgramEnded: "client-ended",
    ProgramSilent: "client-silent",
    BrokenProtocol: CLIENT_ERROR,
    WrongAnswer: CLIENT_ERROR,
}
"""What goes wrong in an operation → the error of its outcome, which is always in doubt."""
ACCEPT_S, ACCEPT_LOOK_S = 1.0, 0.01
NOT_CONNECTED = "and had not connected to an address of its setup: faults would not cut it"


class ProgramClient(DriverClient):
    """Implements `Client`. A subclass names the program and the operations that it has; relative paths are below the folder of the subclass's file.

    `ports`: further ports by name, in addition to the one where clients connect; the program gets an address of each, for each node. `files`: further
    files of the program, which the run's folder keeps a copy of, as of those that `command` names.
    """

    command: ClassVar[Sequence[str]] = ()
    operations: ClassVar[Collection[str]] = ()
    ports: ClassVar[Mapping[str, int]] = {}
    files: ClassVar[Collection[str]] = ()

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(options)
        self._started: Program | None = None
        self._asked = 0
        self._unusable = ""
        """What went wrong at the setup, when it is a mistake of the program."""

    def problems(self) -> Iterator[str]:
        """Describe what is wrong with the class, known before anything starts."""
        name = type(self).__name__
        try:
            program = words(name, "command", self.command)[0]
        except DeployError as error:
            yield error.message
        else:
            if shutil.which(program) is None and shutil.which(self._folder() / program) is None:
                yield f"{name}.command: there is no program {shown(program)} on this machine"
        if not _texts(self.operations) or not self.operations:
            yield f"{name}.operations is {shown(self.operations)}: a set of the operations that the program has"
        if not _texts(self.files):
            yield f"{name}.files is {shown(self.files)}: a list of names of files"
        else:
            missing = [file for file in self.files if not (self._folder() / file).is_file()]
            yield from (f"{name}.files names {shown(file)}, and there is no such file" for file in missing)

    def program_files(self) -> list[Path]:
        """The files of the program that are below the adapter's folder."""
        folder = self._folder()
        found = [(folder / word).resolve() for word in dict.fromkeys((*self.command, *self.files))]
        return [file for file in found if file.is_relative_to(folder.resolve()) and file.is_file()]

    def prepare(self, stderr: Path | None = None, within_s: float = START_S) -> None:
        """Start the program before it is needed: that may take longer than an operation. `stderr`: a file for what it writes to standard error. Raises
        `ProgramError` and `WrongAnswer` when it does not answer."""
        program = self.command[0]
        if "/" in program or shutil.which(program) is None:
            program = str(self._folder() / program)
        self.connection = self._started = Program([program, *self.command[1:]], self._folder(), stderr)
        self._ask(Hello(self._next(), PROTOCOL), time.monotonic() + within_s)

    def connect(self, address: tuple[str, int], timeout_s: float) -> Program | None:
        """Have the program connect; start it first where it is not. Raises `ConnectionError` when it cannot; a mistake of the program is the outcome
        of its first operation.
        """
        deadline_s = time.monotonic() + timeout_s
        try:
            if self._started is None:
                self.prepare(within_s=timeout_s)
            self.connection = self._started
            answer = self._ask(self._setup(deadline_s), deadline_s)
        except ProgramSilent as error:
            raise ConnectionError(str(error)) from None
        except (ProgramError, WrongAnswer) as error:
            self._unusable = self.described(error)
            return self._started
        if answer.type != "ok":
            raise ConnectionError(answer.error or f"its setup ended {answer.type}")
        return self._started

    def invoke(self, op: Op, timeout_s: float) -> Outcome:
        if self._unusable:
            return Outcome("info", error=CLIENT_ERROR, extra={"message": self._unusable})
        deadline_s = time.monotonic() + timeout_s
        # A program that waits longer than the operation may take gets a reset, and can still answer.
        self._set_deadline(deadline_s)
        try:
            request = Invoke(self._next(), op.f, op.key, op.value, op.level, op.workload, round(deadline_s * 1e9))
            sent_ns = time.monotonic_ns()
            answer = self._ask(request, deadline_s + GRACE_S)
            return self._checked(outcome_of(answer, sent_ns, time.monotonic_ns()))
        except tuple(_ERRORS) as error:
            return Outcome("info", error=_ERRORS[type(error)], extra={"message": self.described(error)})
        finally:
            self._set_deadline(None)

    @property
    def is_fresh(self) -> bool:
        """Whether its program is there and has not been asked for a connection: `open` may be tried again."""
        return self._started is not None and not self._forwarders

    @property
    def address_unused(self) -> bool:
        """Looked at until one is used, or for `ACCEPT_S`: a connection is made before the forwarder's thread accepts it."""
        deadline_s = time.monotonic() + ACCEPT_S
        while not (used := any(one.used for one in self._forwarders.values())) and time.monotonic() < deadline_s:
            time.sleep(ACCEPT_LOOK_S)
        return not used

    def close(self) -> None:
        program, self._started, self.connection = self._started, None, None
        if program is not None:
            program.close()
        super().close()

    def _checked(self, outcome: Outcome) -> Outcome:
        if outcome.type == "ok" and self.address_unused:
            raise WrongAnswer(f"answered ok {NOT_CONNECTED}")
        nodes = [*self.addresses, self.to_node or self.node]
        if (served_by := outcome.extra.get("served_by", nodes[0])) not in nodes:
            raise WrongAnswer(f"answered served_by {shown(served_by)}, which is not a node of the cluster")
        return outcome

    def described(self, error: Exception) -> str:
        """A sentence about what the program did."""
        return f"{self.connection.name} {error}" if isinstance(error, WrongAnswer) else str(error)

    def _ask(self, request: Request, deadline_s: float) -> Answer:
        program: Program = self.connection
        program.send(msgspec.json.encode(request) + b"\n", deadline_s)
        return answer_of(program.receive(deadline_s), request.id)

    def _setup(self, deadline_s: float) -> Setup:
        own = self.to_node or self.node
        ports = {CLIENT_PORT: None, **self.ports}
        addresses = {
            node: {name: Address(*self.address(node, port)) for name, port in ports.items()}
            for node in self.addresses or [own]
        }
        network, options = dict(self.addresses), dict(self.options)
        return Setup(self._next(), own, addresses, network, options, round(deadline_s * 1e9))

    def _next(self) -> int:
        self._asked += 1
        return self._asked

    def _folder(self) -> Path:
        return Path(inspect.getfile(type(self))).absolute().parent


def _texts(value: Any) -> bool:
    return isinstance(value, Collection) and not isinstance(value, str) and all(isinstance(one, str) for one in value)

"""One request to a part of a host's agent, outside of a run: abilities are tested in this way before anything is deployed."""

from __future__ import annotations

import json
from typing import Any

from ...bytecode import with_bytecode
from ...hosts.base import Host
from .answers import printed
from .shapes import question_of
from .shipping import agent_directory, agent_program, bundle, remove

ANSWER_S = 90.0
"""An emulated machine compiles the agent for a quarter of a minute, and longer where others emulate next to it."""


def ask_part(host: Host, request: dict[str, Any]) -> dict[str, Any]:
    """Return the observation of the part named in `request`. The agent's program is copied there for this one call, unless it is there."""
    program = agent_program(host.directory)
    was_there = host.run(["test", "-e", program], check=False).exit_code == 0
    if not was_there:
        host.put(with_bytecode(bundle()), program)
    command = [*host.sudo, host.python, "-I", program, "look", agent_directory(host.directory)]
    try:
        done = host.run(command, stdin=json.dumps(request).encode() + b"\n", timeout_s=ANSWER_S)
    finally:
        if not was_there:
            remove(host)
    return printed(host.name, question_of({**request, "do": "look"}), done.stdout)

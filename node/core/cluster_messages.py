"""The messages of members, agents and tasks from node to node; `messages.py` has the rules and the wire form.

A message is a row of fields; `Json` fields are objects. None is larger than a frame: whoever sends much sends pieces.
"""

from __future__ import annotations

from typing import Any, ClassVar

from .value import frozen

Json = Any


@frozen
class SubmitCommand:
    """Append this command, if you lead. `work` is `{"command": [...]}`. There is no answer: who asked sees it applied, or asks again."""

    TAG: ClassVar[str] = "submitter.command"
    work: Json


CLUSTER_MESSAGES: tuple[type[Any], ...] = (SubmitCommand,)

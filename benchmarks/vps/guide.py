"""The steps of a guide page, in order: commands of its `sh` blocks, files of its `yaml` blocks, and the exit codes that its text states. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_PART = re.compile(r"^## (?P<section>[^\n]+)$|^```(?P<language>\w*)\n(?P<block>.*?)^```$", re.S | re.M)
_FILE = re.compile(r"Make a file `([\w.-]+)`")
_EXIT_CODE = re.compile(r"exit code is (\d+)")


@dataclass(frozen=True, slots=True)
class Step:
    """A command, or with `file` the content of a file that the reader makes. `exit_code` is what the text below the command states, else 0."""

    section: str
    text: str
    exit_code: int = 0
    file: str | None = None

    @property
    def needs_machines(self) -> bool:
        return self.file is None and (".yaml" in self.text or "ssh " in self.text)


def steps_of(page: str) -> list[Step]:
    section, steps, end = "", list[Step](), 0
    parts = list(_PART.finditer(page))
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        before, end = page[end : part.start()], part.end()
        after = page[part.end() : following.start() if following else len(page)]
        if part["section"]:
            section = part["section"]
        elif part["language"] == "yaml" and (made := _FILE.search(before)):
            steps.append(Step(section, part["block"], file=made[1]))
        elif part["language"] == "sh":
            lines = [line for line in part["block"].splitlines() if line.strip()]
            stated = _EXIT_CODE.search(after)
            codes = [0] * (len(lines) - 1) + [int(stated[1]) if stated else 0]
            steps += [Step(section, line, code) for line, code in zip(lines, codes, strict=True)]
    return steps


def replaced(text: str, addresses: Sequence[str], user: str, repository: str) -> str:
    """Return `text` with what the guide says to replace. Machines that the reader does not have are left out, as it allows."""
    lines = []
    for line in text.splitlines():
        for number, address in enumerate(addresses, 1):
            line = line.replace(f"ADDRESS{number}", address)
        if re.search(r"\{.*ADDRESS\d.*\}", line):
            continue
        line = re.sub(r" ADDRESS\d\b", "", line)
        lines.append(line.replace("USER", user).replace("<this repository>", repository))
    return "\n".join(lines)

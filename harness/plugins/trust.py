"""Permission to run code that a run's folder names: plugins and adapters that came with evidence are untrusted code, unless the user gives
`--trust-plugins`.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import CampaignError, shown

FLAG = "--trust-plugins"
HINT = f"read that code first; {FLAG} runs it"

_trusted = False


def trust(is_trusted: bool) -> None:
    """Trust the code in this process, because the user said so."""
    global _trusted
    _trusted = is_trusted


def trusted() -> bool:
    return _trusted


def require_trust(source: str | Path, code: Collection[object]) -> None:
    """Raise `CampaignError` where `source`, a file of a run's folder, names code that the user did not allow."""
    if code and not _trusted:
        named = ", ".join(map(shown, code))
        raise CampaignError(f"{source} names code, which may have come with the run: {named}", hint=HINT)


def plugins_of(document: Mapping[str, Any]) -> Collection[object]:
    """The value of `plugins` in a document from a file, of any type."""
    named = document.get("plugins") or ()
    return named if isinstance(named, list) else (named,) if named else ()


def repeat_by(words: Sequence[str | Path], options: Mapping[str, Any]) -> str:
    """Return the command line, from these words, that repeats a plan with these options."""
    return shlex.join([*map(str, words), *([FLAG] if plugins_of(options) else [])])

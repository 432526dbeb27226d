"""Whether code in a run's folder may run: plugins that came with evidence are someone else's code, until the user says otherwise (`--trust-plugins`)."""

from __future__ import annotations

FLAG = "--trust-plugins"
HINT = f"read that code first; {FLAG} runs it"

_trusted = False


def trust(is_trusted: bool) -> None:
    """Take the user's word, for this process."""
    global _trusted
    _trusted = is_trusted


def trusted() -> bool:
    return _trusted

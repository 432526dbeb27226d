"""Checks of what an adapter's class says, where it is used: a wrong value is named by the method that gave it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import DeployError, shown

GUIDE = "docs/guides/own-system.md says what each method returns"


def words(of: str, method: str, value: Any) -> list[str]:
    """A program and its arguments. Raises `DeployError` for anything else: a text would be taken as a list of its letters."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or not value:
        raise DeployError(f"{of}.{method} returned {shown(value)}, not a list of a program and its arguments", GUIDE)
    for word in value:
        if not isinstance(word, str) or "\0" in word:
            raise DeployError(
                f"{of}.{method} returned the argument {shown(word)}, which is not a text", f"use str(…); {GUIDE}"
            )
    return list(value)


def contents(of: str, value: Any) -> dict[str, bytes]:
    """Configuration files by name."""
    if not isinstance(value, Mapping):
        raise DeployError(f"{of}.files(host, cluster) returned {shown(value)}, not a mapping of names to texts", GUIDE)
    found = {}
    for name, content in value.items():
        if not isinstance(name, str) or name.startswith("/") or ".." in name.split("/") or not name:
            raise DeployError(
                f"{of}.files(host, cluster) names {shown(name)}, which is not below its own folder",
                "give names relative to path(host): only these are removed at the end",
            )
        if not isinstance(content, str | bytes):
            raise DeployError(
                f"{of}.files(host, cluster) gives {name} the content {shown(content)}, which is not a text", GUIDE
            )
        found[name] = content.encode() if isinstance(content, str) else content
    return found


def variables(of: str, value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) and "=" not in name for name in value):
        raise DeployError(
            f"{of}.environment(host, cluster) returned {shown(value)}, not a mapping of names to texts", GUIDE
        )
    return {name: str(one) for name, one in value.items()}

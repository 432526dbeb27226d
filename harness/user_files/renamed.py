"""Words of campaigns and run folders that have changed, old → new: the only table.

The loader refuses an old word with the new one; `tri upgrade` rewrites a campaign; readers of run folders map what version 0.1 wrote. `docs/moves.json` lists them.

A path is a dotted place in a document in which positions of lists do not count: `faults.clock.jump` is the key in any fault of kind clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tribulation.checkers.registry import RENAMED as CHECKERS

from ..errors import CampaignError, shown

SCHEMA = "schema_version"
SCHEMA_VERSION = 2
"""Version of every document that is written. A document without one is of version 0.1."""

FAULTS = {
    "power": "power-loss",
    "cpu": "cpu-limit",
    "memory": "memory-limit",
    "descriptors": "fd-limit",
}
SORTS = {**FAULTS, "jump": "bump"}

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """`keys`: path of a key → its new name. `names`: path of a list of names, or of a mapping by name → old name → new name."""

    keys: Mapping[str, str]
    names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def key(self, parent: tuple[str, ...], key: str) -> str | None:
        """The new name of a key; None if it has none."""
        return self.keys.get(".".join((*parent, key))) or self.names.get(".".join(parent), {}).get(key)

    def value(self, path: tuple[str, ...], value: Any) -> str | None:
        return self.names.get(".".join(path), {}).get(value) if isinstance(value, str) else None


CAMPAIGN = Words(
    keys={
        "load": "duration",
        "quiet": "settle",
        "checks": "checkers",
        "check_time": "checker_timeout",
        "check_options": "checker_options",
        "system.discover": "peer_discovery",
        "faults.clock.jump": "bump",
        **{f"faults.{old}": new for old, new in FAULTS.items()},
    },
    names={
        **dict.fromkeys(("checks", "checkers", "check_options", "checker_options"), CHECKERS),
        **{f"faults.{mix}.{word}": SORTS for mix in ("all", "swarm") for word in ("kinds", "without")},
    },
)
RUN = Words({"checks": "checkers", "left_out": "skipped"}, dict.fromkeys(("checks", "options"), CHECKERS))
PLAN = Words(
    {
        "options.checks": "checkers",
        "options.check_options": "checker_options",
        "options.system.discover": "peer_discovery",
    },
    dict.fromkeys(("options.checks", "options.check_options"), CHECKERS),
)
VERDICT = Words(
    {"covered": "masked", "left_out": "skipped", "checkers.vacuity.stats.covered": "masked"}, {"checkers": CHECKERS}
)
SHRINK = Words({}, {"signature.checker": CHECKERS})


@dataclass(frozen=True, slots=True)
class Old:
    """An old word: the place of the key, or of the value."""

    place: Place
    is_key: bool
    old: str
    new: str

    @property
    def message(self) -> str:
        return f"`{self.old}` is now `{self.new}`"


def old_words(data: Any, words: Words = CAMPAIGN, place: Place = (), path: tuple[str, ...] = ()) -> Iterator[Old]:
    """All old words in a document, in its order."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            new = words.key(path, str(key))
            if new is not None:
                yield Old((*place, key), True, key, new)
            yield from old_words(value, words, (*place, key), (*path, str(key)))
    elif isinstance(data, list):
        for index, item in enumerate(data):
            yield from old_words(item, words, (*place, index), path)
    elif (new := words.value(path, data)) is not None:
        yield Old(place, False, data, new)


def renewed(data: Any, words: Words, path: tuple[str, ...] = ()) -> Any:
    """The document in the new words."""
    if isinstance(data, Mapping):
        return {
            words.key(path, str(key)) or key: renewed(value, words, (*path, str(key))) for key, value in data.items()
        }
    if isinstance(data, list):
        return [renewed(item, words, path) for item in data]
    return words.value(path, data) or data


def written(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document as it is written: with its version first."""
    return {SCHEMA: SCHEMA_VERSION, **document}


class UnknownVersion(ValueError):
    """The document is of a later version, or of one that never existed."""


def current(document: Mapping[str, Any], words: Words) -> dict[str, Any]:
    """A document as read, without its version and in the current words. Raises `UnknownVersion`."""
    version = document.get(SCHEMA, 1)
    if type(version) is not int or not 1 <= version <= SCHEMA_VERSION:
        raise UnknownVersion(f"{SCHEMA} is {shown(version)}, and this version of tri reads 1 to {SCHEMA_VERSION}")
    rest = {key: value for key, value in document.items() if key != SCHEMA}
    return rest if version == SCHEMA_VERSION else renewed(rest, words)


def check_option(option: str, name: str) -> None:
    """Refuse a dotted name of `--set` that has an old word in it."""
    path: tuple[str, ...] = ()
    for part in name.split("."):
        if part.isdecimal():
            continue
        new = CAMPAIGN.key(path, part)
        if new is not None:
            raise CampaignError(f"{option}: `{part}` is now `{new}`", hint=f"--set {name.replace(part, new, 1)}=…")
        path = (*path, part)

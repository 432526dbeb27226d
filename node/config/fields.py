"""Reading of configuration fields. The error for an invalid field names the field and its value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ConfigError


def read_name(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    if not isinstance(value, str) or not value or not value.isprintable() or len(value) > 64 or "/" in value:
        raise ConfigError(f"{key}: {value!r} is not a name", f"set {key} to 1-64 printable characters without '/'")
    return value


def read_boolean(data: Mapping[str, Any], key: str, default: bool) -> bool:
    value = data.get(key, default)
    if type(value) is not bool:
        raise ConfigError(f"{key}: {value!r} is not true or false", f"the default is {str(default).lower()}")
    return value


def read_integer(data: Mapping[str, Any], key: str, default: int, low: int, high: int) -> int:
    value = data.get(key, default)
    if type(value) is not int or not low <= value <= high:
        raise ConfigError(f"{key}: {value!r} is not an integer {low}..{high}", f"the default is {default}")
    return value


def read_choice(data: Mapping[str, Any], key: str, choices: tuple[str, ...]) -> str:
    """Read one of `choices`; the first is the default."""
    value = data.get(key, choices[0])
    if value not in choices:
        raise ConfigError(f"{key}: {value!r} is not known", f"write one of {', '.join(choices)}")
    return str(value)


def read_address(value: Any, key: str, *, low_port: int = 0) -> tuple[str, int]:
    good = isinstance(value, (list, tuple)) and len(value) == 2 and isinstance(value[0], str)
    if not good or type(value[1]) is not int or not low_port <= value[1] <= 65535:
        raise ConfigError(f"{key}: {value!r} is not an address", 'write ["10.0.0.1", 10000]')
    return value[0], value[1]


def read_section(data: Mapping[str, Any], key: str, known: tuple[str, ...]) -> Mapping[str, Any] | None:
    """Read an optional object of which all fields are known; None when it is absent."""
    value = data.get(key)
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ConfigError(f"{key}: {value!r} is not an object", "write {} for its defaults, or leave it out")
    unknown = [name for name in value if name not in known]
    if unknown:
        raise ConfigError(f"{key}: unknown field {unknown[0]!r}", f"the fields are {', '.join(known)}")
    return value

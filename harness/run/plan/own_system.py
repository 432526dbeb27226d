"""A user's own system: a Python file with `service(options)` and `client(options)`, loaded and checked before anything starts.

The file is imported as a module, so dataclasses, `from __future__ import annotations` and the like work. Modules in its folder can be
imported, at the load and later; an installed one of the same name comes first. Anything that a service or a client lacks is refused at once.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from ...errors import CampaignError
from ...foreign import contained
from ...nemesis.cluster.control import HandsOver, Leavable, Reconfigurable, Replaceable
from ...nemesis.cluster.fault_disk import OnDisk
from ...systems.adapter.program import ProgramClient
from ...systems.base import Client, Service
from ...systems.operations import lacking
from ...trouble import place_of_users
from ...user_files.python_files import imported

GUIDE = "docs/guides/own-system.md explains what is needed"
ATTRIBUTES: Mapping[str, tuple[type, ...]] = {"name": (str,), "port": (int,), "capabilities": (Collection,)}
"""Attributes of a service; its methods come in addition."""
BY_CAPABILITY: Mapping[str, type] = {
    "disk": OnDisk,
    "members": Leavable,
    "replacement": Replaceable,
    "transfer": HandsOver,
    "voters": Reconfigurable,
}
"""What a service that claims a capability must have in addition."""


def load_system(
    path: Path, options: Mapping[str, Any], asked: Mapping[str, Collection[str]] | None = None
) -> tuple[Service, Callable[[], Client]]:
    """Return the service, and a factory of clients. Raises `CampaignError` naming everything that is missing, with file and line.

    `asked` are the operations that each workload asks for.
    """
    module = imported(path, "system")
    missing = [name for name in ("service", "client") if not callable(getattr(module, name, None))]
    if missing:
        hint = "see docs/guides/own-system.md: service(options), client(options)"
        raise CampaignError(f"{path} does not define {' and '.join(missing)}", hint=hint)
    service = _called(path, "service", lambda: module.service(options))
    client = _called(path, "client", lambda: module.client(options))
    of_client = [*_problems(client, Client), *(client.problems() if isinstance(client, ProgramClient) else ())]
    problems = [*_service_problems(service), *of_client, *_lacking(client, asked or {})]
    if problems:
        raise CampaignError("\n".join(f"{path}: {problem}" for problem in problems), hint=GUIDE)
    return service, lambda: module.client(options)


def _called(path: Path, name: str, call: Callable[[], Any]) -> Any:
    try:
        with contained():
            return call()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        text = f"{place_of_users(error) or path}: {name}(options) raised {type(error).__name__}: {error}"
        raise CampaignError(text, hint=f"`options` of the campaign's system are passed to it; {GUIDE}") from error


def _service_problems(service: Any) -> Iterator[str]:
    yield from _problems(service, Service)
    for name, kinds in ATTRIBUTES.items():
        value = _attribute(service, name)
        if not isinstance(value, kinds) or not _FITS[name](value):
            what = "is missing" if value is None else f"is {value!r}"
            yield f"{type(service).__name__}.{name} {what}: {_WANTED[name]}"
    claimed = _attribute(service, "capabilities")
    for capability, protocol in BY_CAPABILITY.items():
        if isinstance(claimed, Collection) and capability in claimed:
            yield from (
                f"{problem} (it declares the capability {capability!r})" for problem in _problems(service, protocol)
            )


def _lacking(client: Any, asked: Mapping[str, Collection[str]]) -> Iterator[str]:
    """Yield an error for each operation of the workloads that the client certainly does not support."""
    named = {workload: lacking(client, workload, operations) for workload, operations in asked.items()}
    for f in dict.fromkeys(f for missing in named.values() for f in missing):
        takers = [workload for workload, missing in named.items() if f in missing]
        which = f"workload {takers[0]} asks" if len(takers) == 1 else f"workloads {' and '.join(takers)} ask"
        name, method = type(client).__name__, f.replace("-", "_")
        what = (
            f"{name}.operations lacks {f!r}" if isinstance(client, ProgramClient) else f"{name}.{method}(op) is missing"
        )
        yield f"{what}: {which} for operation {f!r}"


_WANTED = {
    "name": "a text that names the system: letters, digits, dots, dashes and underscores, at most 64",
    "port": "the number of the port where clients connect, on every host",
    "capabilities": "a frozenset of texts, frozenset() for none",
}
_FITS: Mapping[str, Callable[[Any], bool]] = {
    # It is also the name of the system's folder on a host, which is removed at the end.
    "name": lambda value: re.fullmatch(r"[^\W_][\w.-]{0,63}", value) is not None,
    "port": lambda value: not isinstance(value, bool) and 1 <= value <= 65535,
    "capabilities": lambda value: not isinstance(value, str),
}


def _attribute(thing: Any, name: str) -> Any:
    try:
        return getattr(thing, name, None)
    except Exception as error:  # a property of the user's
        return error


def _problems(thing: Any, protocol: type) -> Iterator[str]:
    """Yield an error for each method of the protocol that is missing or cannot be called as the harness calls it."""
    for name, wanted in vars(protocol).items():
        if name.startswith("_") or not inspect.isfunction(wanted):
            continue
        parameters = list(inspect.signature(wanted).parameters)[1:]
        call = f"{type(thing).__name__}.{name}({', '.join(parameters)})"
        method = _attribute(thing, name)
        if not callable(method):
            yield f"{call} is missing"
        elif not _takes(method, len(parameters)):
            yield f"{call} is called with {len(parameters)} arguments, but the method is {name}{inspect.signature(method)}"


def _takes(method: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(method).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # a builtin without a signature
        return True
    return True

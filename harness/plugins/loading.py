"""Loader of plugins: the files in a campaign's `plugins:`, and what installed distributions offer by entry points.

A file defines `workloads = {"tickets": Tickets}`, `checkers = {"no-double": NoDouble}`, or both. Entry points of the groups `tribulation.workloads`
and `tribulation.checkers` are such classes by name; those of `tribulation.systems` are modules like the `file:` of a system. Names from plugins are
valid wherever ours are: in campaigns, plans, `tri list`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tribulation.checkers.registry import CHECKERS, add_checker

from ..errors import CampaignError, shown
from ..trouble import place_of_users
from ..user_files.python_files import imported
from ..workloads import WORKLOADS, Workload, WorkloadSpec

GUIDE = "docs/guides/plugins.md explains plugins"
NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
BUILT_IN = {"workloads": frozenset(WORKLOADS), "checkers": frozenset(CHECKERS)}

_loaded: set[Path] = set()


def load_plugins(paths: Iterable[str | Path], directory: Path = Path()) -> None:
    """Load the plugins of a campaign or a plan; relative paths are below `directory`. Raises `CampaignError` with file and line."""
    for path in paths:
        load_plugin((directory / path).absolute())


def load_plugin(path: Path) -> None:
    """Load a file, once. Equal names from another file replace the earlier ones."""
    if path in _loaded:
        return
    module = imported(path, "plugin")
    found = {kind: getattr(module, kind, None) for kind in _ADD}
    if all(value is None for value in found.values()):
        raise CampaignError(f"plugin {path} defines no workloads and no checkers", hint=GUIDE)
    for kind, members in found.items():
        if members is not None and not isinstance(members, Mapping):
            raise CampaignError(
                f"plugin {path}: `{kind}` is {shown(members)}, not a mapping of names to classes", hint=GUIDE
            )
        for name, member in (members or {}).items():
            _add(kind, name, member, f"plugin {path}")
    _loaded.add(path)


def forget_plugins() -> None:
    """Restore the state without plugins."""
    for kind, known in (("workloads", WORKLOADS), ("checkers", CHECKERS)):
        for name in set(known) - BUILT_IN[kind]:
            del known[name]
    _loaded.clear()
    load_installed.cache_clear()


@lru_cache(maxsize=1)
def load_installed() -> None:
    """Load what installed distributions offer; once in a process."""
    for kind in _ADD:
        for point in entry_points(group=f"tribulation.{kind}"):
            place = f"entry point {point.name!r} of {_owner(point)}"
            try:
                member = point.load()
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                text = f"{place}: {place_of_users(error) or point.value}: {type(error).__name__}: {error}"
                raise CampaignError(text, hint="uninstall that distribution, or install its requirements") from error
            _add(kind, point.name, member, place)


def installed_systems() -> dict[str, str]:
    """Systems of installed distributions: name → distribution."""
    return {point.name: _owner(point) for point in entry_points(group="tribulation.systems")}


def file_of_system(name: str) -> Path | None:
    """The file of a system that an installed distribution offers."""
    for point in entry_points(group="tribulation.systems", name=name):
        try:
            spec = find_spec(point.module)
        except ImportError:
            spec = None
        if spec is None or spec.origin is None:
            raise CampaignError(
                f"system {name!r}: {_owner(point)} has no module {point.module!r}", hint="install it again"
            )
        return Path(spec.origin)
    return None


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value


def _add(kind: str, name: Any, member: Any, place: str) -> None:
    """Add a member of a kind. Raises `CampaignError` for anything that is not of that kind."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise CampaignError(f"{place}: {shown(name)} is not a name: small letters, digits and -", hint=GUIDE)
    if name in BUILT_IN[kind]:
        raise CampaignError(
            f"{place}: {name!r} is the name of a built-in one of the {kind}", hint="give it another name"
        )
    problem = _ADD[kind](name, member)
    if problem is not None:
        raise CampaignError(f"{place}: {kind[:-1]} {name!r} {problem}", hint=GUIDE)


def _add_workload(name: str, member: Any) -> str | None:
    if not (isinstance(member, type) and issubclass(member, Workload)):
        return f"is {shown(member)}, not a subclass of Workload"
    spec = getattr(member, "Spec", None)
    if not (isinstance(spec, type) and issubclass(spec, WorkloadSpec)):
        return f"has no class `Spec` that is a subclass of WorkloadSpec: {shown(spec)}"
    if not member.operations or not isinstance(member.operations, Mapping):
        return "declares no `operations`"
    missing = [method for method in ("load", "final") if getattr(member, method) is getattr(Workload, method)]
    if missing:
        return f"has no method {' and no '.join(missing)}"
    WORKLOADS[name] = (spec, member)
    return None


def _add_checker(name: str, member: Any) -> str | None:
    missing = [method for method in ("applies", "check") if not callable(getattr(member, method, None))]
    if not isinstance(member, type) or missing:
        return f"is {shown(member)}, not a class with {' and '.join(missing) or 'methods'}"
    if getattr(member, "name", None) != name:
        return f"has the attribute `name` {shown(getattr(member, 'name', None))}: it must be the name that is used here"
    judged = getattr(member, "operations", None)
    if not isinstance(judged, property | None) and not hasattr(judged, "rows") and not _texts(judged):
        return f"has the attribute `operations` {shown(judged)}: a set of names, or judges(…)"
    add_checker(name, member)
    return None


def _texts(value: Any) -> bool:
    return isinstance(value, Collection) and not isinstance(value, str) and all(isinstance(one, str) for one in value)


_ADD: Mapping[str, Callable[[str, Any], str | None]] = {"workloads": _add_workload, "checkers": _add_checker}

"""Fingerprint of the source files that determine the result of `Core.step`.

Every recording contains it, so that a replay by another version of the core reports the version as the cause of differences. It covers this package
without its runtime (sockets, threads and files are not replayed) and works in a checkout as in `node.pyz`.
"""

from __future__ import annotations

import hashlib
import pkgutil
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.util import find_spec

_RUNTIME = "runtime"


@lru_cache(maxsize=1)
def fingerprint() -> str:
    """Return sixteen hexadecimal digits, equal for equal sources wherever they lie. Empty when there are no sources to read."""
    package = __package__
    spec = find_spec(package)
    assert spec is not None and spec.submodule_search_locations is not None
    digest = hashlib.sha256()
    for name in sorted(_modules(package, list(spec.submodule_search_locations))):
        source = _source(name)
        if source is None:
            return ""
        digest.update(f"{name.removeprefix(package)}\n{source}\n".encode())
    return digest.hexdigest()[:16]


def _modules(package: str, places: Sequence[str]) -> Iterator[str]:
    for module in pkgutil.iter_modules(places, f"{package}."):
        if module.name == f"{package}.{_RUNTIME}":
            continue
        yield module.name
        if module.ispkg:
            folder = module.name.rpartition(".")[2]
            yield from _modules(module.name, [f"{place}/{folder}" for place in places])


def _source(name: str) -> str | None:
    spec = find_spec(name)
    get_source = getattr(spec.loader if spec is not None else None, "get_source", None)
    source: str | None = get_source(name) if get_source is not None else None
    return source

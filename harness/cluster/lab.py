"""The hosts on which clusters come and go: a lab of this machine, or the machines of an inventory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..hosts.base import Host, Provider

if TYPE_CHECKING:
    from ..hosts.local import LocalProvider
    from ..hosts.ssh import SshProvider


@dataclass(frozen=True, slots=True)
class Lab:
    """`hosts` are up and in order; deployments take the first ones."""

    hosts: Sequence[Host]
    provider: Provider


@contextmanager
def lab(nodes: int, inventory: Path | None, name: str) -> Iterator[Lab]:
    """Up while the block runs. A local lab has `nodes` hosts and is `name` with this process's number; an inventory has what it has."""
    provider: SshProvider | LocalProvider
    if inventory is not None:
        from ..hosts.ssh import SshProvider

        provider = SshProvider.from_file(inventory)
    else:
        from ..hosts.local import LocalProvider

        # A lab of its own: two of them at the same time cannot meet, and one that is killed is found by `tri hosts list`.
        provider = LocalProvider(nodes=nodes, name=f"{name}-{os.getpid()}")
    try:
        yield Lab(list(provider.up()), provider)
    finally:
        provider.down()

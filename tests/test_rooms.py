"""The tree shows the architecture: each room holds one idea, imports only what the table names, and no folder or file imports itself around a circle."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import networkx as nx
import pytest

from tests.test_boundaries import PACKAGES, ROOT, Import, functions_of, imports_of

LARGEST_FOLDER = 12
LARGEST_ROOT = 8
LONGEST_MODULE = 400
LONGEST_FUNCTION = 60
NO_IDEA = {"misc", "utils", "util", "helpers", "common", "various"}

FOUNDATIONS = {"histories", "histories.model", "histories.files", "histories.lines"}
"""Any room of `checkers` and `harness` may import these."""

MAY_IMPORT: dict[str, set[str]] = {
    "node": set(),
    "node.config": {"node", "node.flaws"},
    "node.core": {"node", "node.config", "node.flaws"},
    "node.flaws": {"node"},
    "node.runtime": {"node", "node.config", "node.core"},
    "histories": set(),
    "histories.files": set(),
    "histories.formats": set(),
    "histories.lines": set(),
    "histories.model": set(),
    "checkers": {"checkers.base", "checkers.models", "checkers.soundness", "checkers.traces", "histories.formats"},
    "checkers.base": set(),
    "checkers.faults": {"checkers.base", "checkers.traces"},
    "checkers.leadership": {"checkers.base", "checkers.faults", "checkers.raft", "checkers.traces"},
    "checkers.linearizability": {"checkers.base", "checkers.models", "checkers.sets"},
    "checkers.liveness": {"checkers.base", "checkers.faults", "checkers.traces"},
    "checkers.models": set(),
    "checkers.quorum": {"checkers.base", "checkers.faults", "checkers.raft", "checkers.traces"},
    "checkers.raft": {"checkers.base", "checkers.faults", "checkers.traces"},
    "checkers.sets": {"checkers.base"},
    "checkers.soundness": {"checkers.base", "checkers.faults"},
    "checkers.traces": {"checkers.base"},
    "checkers.transactions": {"checkers.base", "checkers.linearizability", "checkers.models"},
    "checkers.workloads": {
        "checkers.base",
        "checkers.faults",
        "checkers.liveness",
        "checkers.traces",
        "checkers.transactions",
    },
    "harness": set(),
    "harness.adapters": {
        "harness",
        "harness.campaign",
        "harness.hosts",
        "harness.nemesis",
        "harness.run",
        "harness.systems",
        "harness.workloads",
    },
    "harness.agent": set(),
    "harness.campaign": {
        "checkers",
        "harness",
        "harness.hosts",
        "harness.nemesis",
        "harness.plugins",
        "harness.user_files",
        "harness.workloads",
        "node",
        "node.config",
        "node.flaws",
    },
    "harness.cli": {
        "harness.adapters",
        "checkers",
        "checkers.soundness",
        "checkers.transactions",
        "harness",
        "harness.campaign",
        "harness.cluster",
        "harness.deploy",
        "harness.failures",
        "harness.hosts",
        "harness.nemesis",
        "harness.report",
        "harness.run",
        "harness.search",
        "harness.systems",
        "harness.user_files",
        "harness.workloads",
    },
    "harness.cluster": {
        "harness",
        "harness.deploy",
        "harness.hosts",
        "harness.nemesis",
        "harness.run",
        "harness.systems",
    },
    "harness.deploy": {
        "harness",
        "harness.hosts",
        "harness.nemesis",
        "harness.systems",
        "node.config",
        "node.core",
        "node.runtime",
    },
    "harness.evidence": {
        "checkers.base",
        "checkers.faults",
        "checkers.soundness",
        "harness",
        "harness.hosts",
        "harness.nemesis",
        "harness.systems",
        "harness.user_files",
    },
    "harness.failures": {
        "checkers",
        "checkers.base",
        "harness",
        "harness.evidence",
        "harness.nemesis",
        "harness.plugins",
        "harness.run",
        "harness.simulator",
    },
    "harness.hosts": {"harness", "harness.agent", "harness.user_files"},
    "harness.nemesis": {"checkers.base", "harness", "harness.hosts", "harness.systems", "harness.user_files"},
    "harness.plugins": {"checkers", "harness", "harness.user_files", "harness.workloads"},
    "harness.replay": {
        "checkers",
        "checkers.base",
        "harness",
        "harness.campaign",
        "harness.evidence",
        "harness.failures",
        "harness.nemesis",
        "harness.run",
        "harness.shrink",
        "harness.simulator",
        "harness.systems",
        "harness.user_files",
        "harness.workloads",
        "node",
        "node.config",
        "node.core",
        "node.runtime",
    },
    "harness.report": {
        "checkers.faults",
        "checkers.base",
        "checkers.soundness",
        "checkers.traces",
        "harness",
        "harness.evidence",
        "harness.user_files",
    },
    "harness.run": {
        "checkers",
        "checkers.base",
        "checkers.faults",
        "checkers.soundness",
        "checkers.traces",
        "harness",
        "harness.campaign",
        "harness.deploy",
        "harness.evidence",
        "harness.hosts",
        "harness.nemesis",
        "harness.plugins",
        "harness.simulator",
        "harness.systems",
        "harness.user_files",
        "harness.workloads",
        "histories.formats",
        "node",
        "node.config",
    },
    "harness.search": {
        "checkers",
        "harness",
        "harness.campaign",
        "harness.evidence",
        "harness.failures",
        "harness.nemesis",
        "harness.plugins",
        "harness.report",
        "harness.run",
        "harness.simulator",
        "harness.user_files",
        "node.flaws",
    },
    "harness.shrink": {
        "checkers",
        "checkers.faults",
        "harness",
        "harness.campaign",
        "harness.evidence",
        "harness.failures",
        "harness.nemesis",
        "harness.plugins",
        "harness.run",
        "harness.systems",
        "harness.user_files",
        "histories.formats",
        "node",
    },
    "harness.simulator": {
        "harness",
        "harness.nemesis",
        "harness.systems",
        "node",
        "node.config",
        "node.core",
        "node.runtime",
    },
    "harness.systems": {"harness", "harness.hosts", "node", "node.config", "node.core", "node.runtime"},
    "harness.user_files": {"checkers", "harness"},
    "harness.workloads": {"checkers.liveness", "harness", "harness.systems", "harness.user_files", "node.core"},
}
"""Room → the other rooms that it may import. A room is a folder of a package, or the files at its root. `FOUNDATIONS` need no mention."""


def _modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def _is_idea(path: Path) -> bool:
    """`__init__` is the face of a folder and `__main__` its entry; neither holds an idea."""
    return not path.stem.startswith("__")


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def _folder(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).parent.parts)


FILES = {_name(path): path for path in _modules()}


def _eager() -> list[Import]:
    """Imports at the head of a module. One inside a function runs later, and closes no circle."""
    return [found for package in PACKAGES for found in imports_of(package) if not found.lazily and _is_idea(found.path)]


def _room(name: str) -> str:
    """`checkers.raft.survey` and the face `checkers.raft` are of the room `checkers.raft`; `checkers.registry`, of the room `checkers`."""
    parts = name.split(".")
    return ".".join(parts[:2]) if len(parts) > 2 or (ROOT.joinpath(*parts[:2]).is_dir()) else parts[0]


def _between_rooms() -> dict[str, dict[str, Import]]:
    """Room → each room that it imports, with one import that does."""
    found: dict[str, dict[str, Import]] = defaultdict(dict)
    for name, path in FILES.items():
        if _is_idea(path):
            found[_room(name)] = {}
    for one in _eager():
        if one.top in PACKAGES:
            here, there = _room(_name(one.path)), _room(one.module)
            if here != there:
                found[here].setdefault(there, one)
    return found


def test_a_folder_is_small_enough_to_be_read_at_a_glance() -> None:
    sizes: dict[str, int] = defaultdict(int)
    for path in _modules():
        sizes[_folder(path)] += _is_idea(path)
    assert {f: n for f, n in sizes.items() if n > (LARGEST_ROOT if f in PACKAGES else LARGEST_FOLDER)} == {}


def test_a_module_is_short_enough_to_be_read() -> None:
    lines = {_name(path): path.read_text(encoding="utf-8").count("\n") for path in _modules()}
    assert {name: count for name, count in lines.items() if count > LONGEST_MODULE} == {}


def test_a_function_is_short_enough_to_be_read() -> None:
    long = {
        f"{one.path.relative_to(ROOT)}:{one.line} {one.name}": one.lines
        for package in (*PACKAGES, "tests")
        for one in functions_of(package)
        if one.lines > LONGEST_FUNCTION
    }
    assert long == {}


def test_a_name_says_what_is_in_a_module() -> None:
    assert [name for name in FILES if NO_IDEA & set(name.split("."))] == []


def test_a_room_imports_only_the_rooms_of_the_table() -> None:
    broken = [
        str(one)
        for room, imported in sorted(_between_rooms().items())
        for other, one in sorted(imported.items())
        if other not in MAY_IMPORT.get(room, set()) | FOUNDATIONS
    ]
    assert broken == []


def test_the_table_names_every_room_and_only_what_is_used() -> None:
    used = {room: set(imported) - FOUNDATIONS for room, imported in _between_rooms().items()}
    stale = {room: sorted(allowed - used.get(room, set())) for room, allowed in MAY_IMPORT.items()}
    assert sorted(used.keys() ^ MAY_IMPORT.keys()) == []
    assert {room: rest for room, rest in stale.items() if rest} == {}


@pytest.mark.parametrize("of", ["folder", "file"])
def test_nothing_imports_itself_around_a_circle(of: str) -> None:
    """A face (`__init__`) that is imported is no file; a module that needs its parts imports them from where they are."""
    edges: dict[tuple[str, str], Import] = {}
    for one in _eager():
        if one.module in FILES:
            here, there = (
                (_name(one.path), one.module) if of == "file" else (_folder(one.path), _folder(FILES[one.module]))
            )
            if here != there:
                edges.setdefault((here, there), one)
    graph = nx.DiGraph(list(edges))
    rings = [ring for ring in nx.strongly_connected_components(graph) if len(ring) > 1]
    assert [str(edges[edge]) for ring in rings for edge in graph.subgraph(ring).edges] == []

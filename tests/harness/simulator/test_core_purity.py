"""What would make a run differ from its repeat is kept out of the source of core and simulator, and of what they are driven by."""

from __future__ import annotations

from pathlib import Path

import pytest

from tribulation import harness, node
from tribulation.harness.errors import TribulationError
from tribulation.harness.simulator.errors import FenceError
from tribulation.harness.simulator.purity_guard import CORE as FENCED
from tribulation.harness.simulator.purity_guard import fence

from .order_lint import findings

ROOT = Path(node.__file__).parent.parent
HARNESS = Path(harness.__file__).parent
CORE = [
    *sorted((ROOT / "node/core").rglob("*.py")),
    *sorted((ROOT / "node/config").rglob("*.py")),
    *sorted((ROOT / "node/flaws").rglob("*.py")),
    *(ROOT / "node" / f"{name}.py" for name in ("bounded", "errors", "printable", "snapshot_text")),
    ROOT / "node/runtime/loop/gate.py",
]
CORE_IMPORTS = {
    *(
        "__future__",
        "base64",
        "binascii",
        "bisect",
        "collections",
        "collections.abc",
        "dataclasses",
        "enum",
        "functools",
    ),
    *("hashlib", "heapq", "itertools", "json", "operator", "random", "re", "struct", "typing", "zlib"),
    # For its tables of Unicode 3.2 alone, which are the same in every Python.
    "unicodedata",
}
"""Whatever else the standard library has, a core does without until it was reviewed."""

OUTSIDE = {"purity_guard.py", "message_log.py"}
"""The fence is about the very names that are refused here. The log finds a message under way by its identity; nothing is drawn or ordered by it."""

SIMULATOR = [path for path in sorted((HARNESS / "simulator").rglob("*.py")) if not OUTSIDE & set(path.parts)]
DRIVERS = [
    *(
        HARNESS / f"run/{name}.py"
        for name in ("drive/runner", "drive/actions", "drive/isolation", "drive/virtual", "drive/journal", "plan/plan")
    ),
    *(HARNESS / f"nemesis/topology/{name}.py" for name in ("partitions", "resolve", "liveness", "link_effects")),
    *(HARNESS / f"nemesis/{name}.py" for name in ("faults/targets", "schedule/schedule")),
    *sorted((HARNESS / "workloads").glob("*.py")),
    HARNESS / "systems/reference/client.py",
    HARNESS / "systems/base.py",
]
SIMULATOR_IMPORTS = CORE_IMPORTS | {
    "abc",
    "contextlib",
    "math",
    "msgspec",
    "re",
    "networkx",
    "pydantic",
    "rich.table",
    "tribulation.checkers.base.acknowledged",
    "tribulation.checkers.base.result",
    "tribulation.checkers.liveness.through_each",
    "tribulation.checkers.soundness.exercised",
    "tribulation.histories",
}


def _named(paths: list[Path]) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in paths]


@pytest.mark.parametrize("path", CORE, ids=_named(CORE))
def test_the_core_has_no_clock_no_chance_and_no_order_of_sets(path: Path):
    members = ("Random",) if path.name == "rng.py" else ()
    assert findings(path.read_text(encoding="utf-8"), CORE_IMPORTS, members) == []


@pytest.mark.parametrize("path", SIMULATOR + DRIVERS, ids=_named(SIMULATOR + DRIVERS))
def test_neither_has_the_simulator_nor_what_drives_it(path: Path):
    node_modules = {
        f"tribulation.node.{name}"
        for name in (
            "config.node",
            "flaws.switch",
            "wire",
            "core.core",
            "core.interface.rng",
            "core.interface.effects",
            "core.interface.events",
        )
    }
    allowed = (
        SIMULATOR_IMPORTS
        | node_modules
        | {"tribulation.node.core.interface.messages", "tribulation.node.runtime.loop.gate"}
    )
    # For one word each: how long a command may be, and the name of a snapshot that is being written.
    allowed |= {"tribulation.node.core.clients.request", "tribulation.node.core.storage.snapshot_file"}
    # What a configuration promises is judged by the node's own bounds: three constants of pure modules.
    if path.parent.name == "coverage":
        allowed |= {"tribulation.node.config.cluster", "tribulation.node.core.detector.lifeguard"}
        allowed |= {"tribulation.node.core.memory.memory"}
    # And for the states of a member.
    allowed |= {"tribulation.node.core.records.lifecycle"}
    # Tasks do in the simulator what they do on hosts; how long they take is the simulator's affair.
    allowed |= {"tribulation.node.runtime.loop.handlers"} if path.name == "tasks.py" else set()
    # The protocol that the simulator's clients speak shares its file with the client for hosts.
    allowed |= (
        {"socket", "ssl", "time", "tribulation.node.runtime.security.identity"} if "systems" in path.parts else set()
    )
    assert findings(path.read_text(encoding="utf-8"), allowed, ("Random",)) == []


BAD = [
    "import time",
    "import random",
    "from random import randint",
    "from random import Random\nx = Random()",
    "from os.path import join",
    "import locale",
    "x = id(y)",
    "x = sorted(y, key=lambda z: hash(z))",
    "x = [y for y in {1, 2}]",
    "for x in list(set(y)): pass",
    "for x in frozenset(y): pass",
    "a = {1, 2}\nfor x in a: pass",
    "a: set[int] = f()\nx = list(a)",
    "def f(a: frozenset[str]):\n    return [b for b in a]",
    "def f() -> set[int]: ...\nfor x in f(): pass",
    "class A:\n    def __init__(self):\n        self.b: set[int] = set()\n    def c(self):\n        return self.b.pop()",
    "class A:\n    b: set[int]\n\ndef f(a):\n    for x in a.b: pass",
    "a = {1} | b\nx = tuple(a)",
    "a = set(b)\nc = a - {1}\nx = next(iter(c))",
    "a = set(b)\nc = a.union(d)\nx = {e: 1 for e in c}",
    "a = {str(b) for b in c}\nx = ','.join(a)",
    "a = {1, 2}\nx = [*a]",
    "a = {1, 2}\nb, c = a",
    "a = {1, 2}\nx = f'{a}'",
    "a = {1, 2}\nx = dict.fromkeys(a)",
    "a: dict[str, set[int]] = {}\nfor x in a['b']: pass",
    "a = set(b) if c else set()\nfor x in a: pass",
    "a = {1, 2}\nx = sorted([*a, *b], key=len)[0]\nfor y in a: pass",
]
GOOD = [
    "from ..chance import Chance\nfor x in sorted({1, 2}):\n    y = x in {3}\n",
    "a = set(b)\na.add(1)\na.discard(2)\nx = 1 in a and len(a) > 2\n",
    "a: set[int] = set()\nx = sorted(b for b in a)\ny = sum(c for c in a)\n",
    "a = {1, 2}\nb = {c + 1 for c in a}\nd = sorted([*a, *b])\n",
    "from random import Random\nx = Random(7).random()\n",
    "a = {'x': 1}\nfor b in a: pass\n",
    "def f():\n    a = {1}\n    return 2 in a\ndef g():\n    a = [1]\n    return [b for b in a]\n",
    "class A:\n    a: frozenset[int]\ndef g(a: list[int]):\n    return [b for b in a]\n",
    "a = {1, 2}\nx = min(a), max(a | {3}), any(b > 1 for b in a)\n",
]


@pytest.mark.parametrize("source", BAD)
def test_the_lint_sees_each_of_them(source: str):
    assert findings(source, CORE_IMPORTS, ("Random",))


@pytest.mark.parametrize("source", GOOD)
def test_the_lint_lets_ordinary_code_through(source: str):
    assert findings(source, CORE_IMPORTS, ("Random",)) == []


CALLS = [
    "import time; time.time()",
    "import time; time.process_time_ns()",
    "import time; time.clock_gettime(time.CLOCK_MONOTONIC)",
    "import time; time.gmtime()",
    "import random; random.random()",
    "import random; random.gauss(0, 1)",
    "import random; random.SystemRandom().random()",
    "import os; os.urandom(4)",
    "import os; os.getrandom(4)",
    "import uuid; uuid.uuid4()",
    "import secrets; secrets.token_hex(2)",
    "import socket; socket.socket()",
    "import socket; socket.gethostname()",
    "import threading; threading.Thread(target=print).start()",
    "import threading; threading.get_ident()",
    "open('/etc/hostname')",
]


@pytest.mark.parametrize("call", CALLS)
def test_the_fence_stops_core_code_at_run_time_and_nobody_else(call: str):
    with fence():
        with pytest.raises(FenceError):
            exec(call, {"__name__": f"{FENCED[0]}.somewhere"})
        exec(call.replace("start()", "name"), {"__name__": "harness.elsewhere"})
    exec(call.replace("start()", "name"), {"__name__": f"{FENCED[0]}.somewhere"})
    assert issubclass(FenceError, TribulationError)


def test_a_seeded_generator_is_made_inside_the_fence():
    with fence():
        exec("import random; assert random.Random(7).random()", {"__name__": f"{FENCED[0]}.chance"})

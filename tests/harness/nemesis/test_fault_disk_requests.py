"""Whatever a process under test asks of its disk, through the kernel: the daemon goes on, for its end would take the files with it."""

from __future__ import annotations

import errno
import inspect
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.node.fuzz.values import around
from tribulation.harness.agent.fault_disk.operations import Operations
from tribulation.harness.agent.fault_disk.protocol import ATTR, ATTR_OUT, ENTRY, OUT, SETATTR, Op, Request, Set
from tribulation.harness.agent.fault_disk.tree.backing import ROOT
from tribulation.harness.agent.fault_disk.tree.nodes import HIDDEN
from tribulation.harness.agent.fault_disk.tree.tree import Tree

from .test_fault_disk_tree import tree

MTIME, MTIME_NS = 4, 7
CALLS = 200


class Disk:
    """The daemon without a kernel."""

    def __init__(self, made: Tree) -> None:
        self.operations = Operations(made, Random(1))
        self.tree = made

    def ask(self, op: int, node: int, body: bytes = b"") -> tuple[int, bytes]:
        """The errno of the answer, and its body."""
        request = Request(op, 1, node, os.geteuid(), os.getegid(), body)
        answer = self.operations.handle(request)
        if answer is None:
            return 0, b""
        _, error, _ = OUT.unpack_from(answer)
        return -error, answer[OUT.size :]

    def mkdir(self, parent: int, name: bytes) -> tuple[int, int]:
        error, body = self.ask(Op.MKDIR, parent, struct.pack("<II", 0o755, 0) + name + b"\0")
        return error, 0 if error else int(ENTRY.unpack_from(body)[0])

    def create(self, parent: int, name: bytes) -> tuple[int, int]:
        error, body = self.ask(Op.CREATE, parent, struct.pack("<IIII", 0, 0o644, 0, 0) + name + b"\0")
        return error, 0 if error else int(ENTRY.unpack_from(body)[0])


@pytest.fixture(params=["strict", "journaled"])
def disk(request: pytest.FixtureRequest) -> Iterator[Disk]:
    with tree() as (made, data, _):
        yield Disk(Tree(made.backing, request.param))
        # Python's own removal is by recursion.
        subprocess.run(["rm", "-rf", data], check=True)
        os.mkdir(data)


@pytest.mark.parametrize("seconds", [-1, -(2**30), 0, 2**33])
def test_a_time_before_1970_is_a_time(disk: Disk, seconds: int) -> None:
    """`touch -d 1969-12-31` ended the daemon, and what was not synced was lost."""
    _, file = disk.create(ROOT, b"f")
    body = SETATTR.pack(Set.MTIME, 0, 0, 0, 0, 0, seconds, 0, 0, 5, 0, 0, 0, 0, 0, 0)
    error, found = disk.ask(Op.SETATTR, file, body)
    attributes = ATTR.unpack_from(found, ATTR_OUT.size)
    assert (error, attributes[MTIME], attributes[MTIME_NS]) == (0, seconds, 5)
    assert disk.tree.stat(disk.tree.nodes[file]).st_mtime_ns == seconds * 10**9 + 5


def test_directories_may_be_nested_deeper_than_python_calls(disk: Disk, request: pytest.FixtureRequest) -> None:
    """1500 levels ended the daemon by its limit of recursion. Each level costs syncs, so that the limit is lowered here."""
    parent = ROOT
    usual = sys.getrecursionlimit()
    request.addfinalizer(lambda: sys.setrecursionlimit(usual))
    sys.setrecursionlimit(len(inspect.stack(0)) + CALLS)
    for _ in range(2 * CALLS):
        error, parent = disk.mkdir(parent, b"d")
        assert error == 0
    _, file = disk.create(parent, b"f")
    assert disk.ask(Op.FSYNC, file, bytes(16))[0] == 0
    assert disk.ask(Op.FSYNCDIR, parent, bytes(16))[0] == 0
    disk.tree.crash(1)
    assert len(disk.tree.names()) == 2 * CALLS + 1


@pytest.mark.parametrize("make", [Disk.mkdir, Disk.create])
def test_the_name_of_the_disks_own_directory_is_not_to_be_had(disk: Disk, make: object) -> None:
    """A file of that name could never become durable: each later sync of the directory failed."""
    assert callable(make)
    assert make(disk, ROOT, HIDDEN.encode())[0] == errno.EPERM
    assert make(disk, ROOT, b"x")[0] == 0
    rename = struct.pack("<Q", ROOT) + b"x\0" + HIDDEN.encode() + b"\0"
    assert disk.ask(Op.RENAME, ROOT, rename)[0] == errno.EPERM
    assert disk.ask(Op.FSYNCDIR, ROOT, bytes(16))[0] == 0


NUMBERS = st.sampled_from(around(0, 1, 4096, 1 << 31, 1 << 32, 1 << 62, (1 << 63) - 2, (1 << 64) - 2)).map(
    lambda number: number % (1 << 64)
)
BODIES = st.one_of(
    st.binary(max_size=60),
    st.lists(NUMBERS, max_size=14).map(lambda numbers: struct.pack(f"<{len(numbers)}Q", *numbers)),
    st.builds(
        lambda size, names: bytes(size) + b"".join(name + b"\0" for name in names),
        st.sampled_from([0, 8, 16, 40]),
        st.lists(st.sampled_from([b"f", b"d", b"g", b"", b"\xff", b".", HIDDEN.encode(), b"n" * 300]), max_size=3),
    ),
)
REQUESTS = st.tuples(
    st.sampled_from([*Op, 0, 99]),
    st.sampled_from([0, 1, 2, 3, 4, 99]),
    BODIES.map(lambda body: body.ljust(SETATTR.size, b"\0")),
)
"""Of the length that the kernel gives them, at least."""


@settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "60")), deadline=None, suppress_health_check=list(HealthCheck)
)
@given(st.sampled_from(["strict", "journaled"]), st.lists(REQUESTS, min_size=1, max_size=12))
def test_no_request_ends_the_daemon(model: str, requests: list[tuple[int, int, bytes]]) -> None:
    with tree() as (made, _, _):
        disk = Disk(Tree(made.backing, model))
        disk.create(ROOT, b"f")
        disk.mkdir(ROOT, b"d")
        for op, node, body in requests:
            disk.ask(op, node, body)
        assert disk.ask(Op.GETATTR, ROOT, bytes(16))[0] == 0
        disk.tree.crash(1)

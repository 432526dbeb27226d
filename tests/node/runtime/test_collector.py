"""The collector's policy: survivors are frozen, and the node relies on reference counts alone for what comes and goes."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import textwrap
from pathlib import Path

from tribulation.node.runtime.network.connection import Connection
from tribulation.node.runtime.process import collector

from .one_node import OneNode, wait_for


def test_what_survives_twice_is_frozen_and_never_walked_again() -> None:
    reported = textwrap.dedent(
        """
        import gc, json
        from tribulation.node.runtime.process import collector
        collector.adopt()
        kept = [[] for _ in range(200_000)]
        counts = [generation["collections"] for generation in gc.get_stats()]
        left = len(gc.get_objects())
        print(json.dumps([gc.get_freeze_count(), left, gc.get_stats()[2]["collections"]]))
        """
    )
    out = subprocess.run([sys.executable, "-c", reported], capture_output=True, text=True, check=True).stdout
    frozen, left, full = json.loads(out)
    assert frozen > 100_000 and left < 10 * collector.YOUNG and full == 0


def test_connections_and_requests_leave_no_cycles(tmp_path: Path) -> None:
    def connections() -> int:
        return sum(type(item) is Connection for item in gc.get_objects())

    with OneNode(tmp_path / "n1") as node:
        gc.collect()
        gc.disable()
        try:
            before = connections()
            for number in range(20):
                with node.client() as client:
                    client.ask({"id": number, "admin": "status"})
            wait_for(lambda: connections() <= before, "the connections' end")
        finally:
            gc.enable()

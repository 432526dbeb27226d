"""`tri demo cluster`: the demonstration of a cluster of agents. It shows the table of the nodes while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..console import out, say

if TYPE_CHECKING:
    from ...cluster.lab import Lab


def demonstrate_on(hosts: str | None, take_over: bool = False) -> int:
    from ...cluster.asking import Refused
    from ...cluster.lab import lab
    from ...cluster.scenarios.demo import DEMO
    from ...cluster.waiting import Missed
    from ...errors import HostError

    say("bringing up hosts")
    with lab(DEMO.hosts, hosts, "demo", take_over=take_over) as where:
        if len(where.hosts) < DEMO.hosts:
            raise HostError(
                f"there are {len(where.hosts)} hosts, and the demonstration needs {DEMO.hosts}",
                hint="add some, or omit --hosts",
            )
        try:
            _demonstrate(where)
        except (Missed, Refused) as error:
            say(f"the demonstration failed: {error}")
            return 1
    return 0


def _demonstrate(where: Lab) -> None:
    """Print the steps and the table: a terminal redraws the table below the steps; elsewhere it is printed after each step."""
    from rich.live import Live
    from rich.text import Text

    from ...cluster.deployed import Deployed
    from ...cluster.scenarios.demo import DEMO, demonstrate
    from ...cluster.setup import CLUSTER
    from ...cluster.table import table_of
    from ...cluster.watch import Watch

    say("deploying nodes, each of which knows only itself")
    with (
        Deployed(DEMO, where.hosts, where.provider) as cluster,
        Watch(CLUSTER, cluster.dial, cluster.names, tls=cluster.service.client_tls) as watch,
    ):
        if not out.is_terminal:

            def notify(step: str, sentence: str) -> None:
                out.print(Text(f"{step:<10} {sentence}"))
                out.print(table_of(watch.now()))

            demonstrate(cluster, notify)
            return
        watch.start()
        with Live(console=out, refresh_per_second=4, get_renderable=lambda: table_of(watch.picture)) as live:
            demonstrate(cluster, lambda step, sentence: live.console.print(Text(f"{step:<10} {sentence}")))

"""`tri`: the command. Commands are in modules of their own; here are the group, and where errors become exit codes.

0 valid · 1 anomaly · 2 usage or campaign · 3 unknown · 4 environment · 70 internal · 130 interrupted
"""

from __future__ import annotations

import gc
import os
import sys
import traceback
from importlib import import_module
from typing import Any

import click

from ..errors import TribulationError
from ..garbage import rare_collections
from ..trouble import place_of_users
from .streams import ending_signals, guarded_streams

COMMANDS = {
    "run": ("runs.run", "Run a campaign: hosts, deployment, clients, faults, checks."),
    "search": ("runs.search", "Try many seeds in the simulator, and say what fails."),
    "check": ("runs.check", "Check a recorded run or history again."),
    "shrink": ("runs.shrink", "Make a failing run, or a failing history, as small as it gets."),
    "convert": ("runs.convert", "Write a history in another format."),
    "replay": ("runs.replay", "Make a recorded run happen again, and say how exactly it did."),
    "explain": ("runs.explain_run", "Say why a simulated run fails, by runs beside it that do not."),
    "report": ("runs.report", "Write the report page of a run."),
    "doctor": ("machines.doctor", "Say what the hosts can do, by trying it."),
    "heal": ("machines.heal", "Undo every fault that may still be in force."),
    "hosts": ("machines.hosts", "Bring local hosts up or down, or list them."),
    "deploy": ("machines.deploy", "Deploy the reference cluster to an inventory's hosts."),
    "cluster": ("machines.cluster", "Show a cluster of agents at work (also cluster-demo, nodes-demo)."),
    "cluster-bench": ("machines.cluster_bench", "Run the cluster's scenarios and measure them (also nodes-bench)."),
    "nodes": ("machines.nodes", "Show the nodes of a running cluster as a live table."),
    "new": ("machines.new", "Write a commented adapter for a system of your own."),
    "try": ("machines.try_system", "Exercise an adapter, and say what is wrong with it."),
    "upgrade": ("runs.upgrade", "Rewrite campaigns of an older version in the words of this one."),
    "show": ("catalogue.show", "Show a fault, workload, checker or flaw: fields, defaults, needs."),
    "list": ("catalogue.listing", "List campaigns, workloads, faults, checkers, flaws or runs."),
}
"""Command → (module beside this one, what it is for). A module is imported when its command is used."""

ALIASES = {"cluster-demo": "cluster", "nodes-demo": "cluster", "nodes-bench": "cluster-bench"}
"""Other names of commands."""


class LazyGroup(click.Group):
    """Imports a command's module only for that command, so that `tri` answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        cmd_name = ALIASES.get(cmd_name, cmd_name)
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f".{COMMANDS[cmd_name][0]}", __package__).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, purpose) for name, (_, purpose) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tribulation", prog_name="tri")
def cli() -> None:
    """Tribulation: does your cluster keep its promises?

    \b
    tri run quickstart     five local hosts, faults, a verdict
    tri check runs/latest  the verdict again, from what was recorded
    """


def main(arguments: list[str] | None = None) -> Any:
    """The entry point. Whatever becomes of what is printed, the exit code is that of what was done."""
    with guarded_streams() as streams:
        code = _exit_code(arguments)
        sys.stdout.flush()
        if streams.lost_result is not None:
            print(f"warning: stdout did not take the result: {streams.lost_result}", file=sys.stderr)
    sys.exit(code)


def _exit_code(arguments: list[str] | None) -> int:
    """Every error ends as a message with a hint and one of the exit codes; a traceback needs TRI_DEBUG=1."""
    try:
        with ending_signals(), rare_collections():
            code = cli.main(args=arguments, prog_name="tri", standalone_mode=False)
            # The process ends: its memory goes as a whole, and the collector need not walk all of it once more before that.
            gc.freeze()
        return code if isinstance(code, int) else 0
    except TribulationError as error:
        return _complain(str(error), error.exit_code)
    except click.ClickException as error:
        error.show()
        return 2
    except (KeyboardInterrupt, click.Abort):
        return _complain("interrupted", 130)
    except SystemExit as error:
        # No command raises it. A user's file does, and its 0 must not pass for a valid verdict.
        told = f"{place_of_users(error) or 'a part of tri'} ended the command: SystemExit: {error}"
        return _complain(
            f"{told}\n\nhint: a system's own file raises errors instead; TRI_DEBUG=1 shows the traceback", 4
        )
    except Exception as error:
        # Imported by now, if it is one: what a damaged history says is for its owner, not for us.
        from tribulation.histories.model.errors import HistoryError

        if isinstance(error, HistoryError):
            return _complain(str(error), 2)
        if place := place_of_users(error):
            told = f"{place}: {type(error).__name__}: {error}"
            return _complain(f"{told}\n\nhint: that file is the system's own; TRI_DEBUG=1 shows the traceback", 4)
        told = f"internal error: {type(error).__name__}: {error}"
        return _complain(f"{told}\n\nhint: TRI_DEBUG=1 shows the traceback; please report it", 70)


def _complain(message: str, code: int) -> int:
    if os.environ.get("TRI_DEBUG"):
        traceback.print_exc()
    print(f"error: {message}", file=sys.stderr)
    return code

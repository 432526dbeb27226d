"""`tri`: the command. Each command has its own module; this one has the group, and turns errors into exit codes.

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

from ..errors import TribulationError, shown
from ..foreign import noted_timers
from ..garbage import rare_collections
from ..trouble import MACHINE, is_of_a_package, place_of_users
from .choices import Group
from .commands import ALIASES, COMMANDS, GROUPS
from .completion import VARIABLE
from .process.signals import INTERRUPTED, Ending, ending_signals
from .process.streams import guarded_streams
from .refusals import refusal


class LazyGroup(Group):
    """Imports a command's module only for that command, so that `tri` answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(ALIASES[cmd_name][0] if cmd_name in ALIASES else cmd_name)
        if entry is None:
            return None
        command: click.Command = import_module(f".{entry.module}", __package__).command
        command.epilog = f"\b\nExample:\n  {entry.example}"
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        return super().resolve_command(ctx, [*ALIASES.get(args[0], args[:1]), *args[1:]])

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, entries in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name, entry.purpose) for name, entry in entries.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tribulation", prog_name="tri")
def cli() -> None:
    """Tribulation: does your cluster keep its promises?

    \b
    tri run quickstart --hosts sim   faults in the simulator, a verdict; needs no root
    tri run quickstart               the same on five local hosts
    tri check runs/latest            the verdict again, from the recording
    """


def main(arguments: list[str] | None = None) -> Any:
    """Run a command and end the process. The exit code is that of the command, even if its output cannot be printed."""
    if os.environ.get(VARIABLE):
        sys.exit(_completion_code())
    with guarded_streams() as streams:
        code = _exit_code(arguments)
        sys.stdout.flush()
        if streams.lost_result is not None:
            print(f"warning: the result could not be written to stdout: {streams.lost_result}", file=sys.stderr)
    sys.exit(code)


def _completion_code() -> int:
    """Print candidates for the shell's completion, by click. Return 0, or 2 with a message: click's own 1 means an anomaly."""
    try:
        cli.main(args=[], prog_name="tri", complete_var=VARIABLE)
    except SystemExit as end:
        if end.code in (0, None):
            return 0
    except Exception as error:
        return _complain(f"no completion: {type(error).__name__}: {error}\n\nhint: unset {VARIABLE}", 2)
    return _complain(f"{VARIABLE} is {shown(os.environ[VARIABLE])}, which is not a known request\n\nhint: unset it", 2)


def _exit_code(arguments: list[str] | None) -> int:
    """Run the command and return its exit code. Every error becomes a message and one of the exit codes; TRI_DEBUG=1 adds the traceback."""
    ending = Ending()
    try:
        with ending_signals(ending), noted_timers(), rare_collections():
            code = cli.main(args=arguments, prog_name="tri", standalone_mode=False)
            # The process ends soon. Without this the garbage collector would examine all objects once more.
            gc.freeze()
        return code if isinstance(code, int) else 0
    except TribulationError as error:
        return _complain(str(error), error.exit_code)
    except click.ClickException as error:
        return _complain(str(refusal(error)), 2)
    except (KeyboardInterrupt, click.Abort):
        return _complain("interrupted", INTERRUPTED)
    except SystemExit as error:
        # No command raises it, but a user's file may. Its exit code 0 must not be taken for a valid verdict.
        return _ended_by_users(error)
    except Exception as error:
        # A damaged history is the user's to repair, and not a bug. If the error is one, this module is imported already.
        from tribulation.histories.model.errors import HistoryError

        if isinstance(error, HistoryError):
            return _complain(str(error), 2)
        if ending.began:
            # A compiled module that is interrupted while it is imported may raise another error.
            return _complain(f"interrupted: {type(error).__name__}: {error}", INTERRUPTED)
        if isinstance(error, MemoryError):
            return _complain(
                "this machine: out of memory\n\nhint: give the process more memory, or use a smaller run", 4
            )
        if place := place_of_users(error):
            reported = f"{place}: {type(error).__name__}: {error}"
            return _complain(
                f"{reported}\n\nhint: that file belongs to the system under test; TRI_DEBUG=1 shows the traceback", 4
            )
        if is_of_a_package(error):
            why = " ".join(str(error).split())
            return _complain(
                f"this machine: a package cannot be loaded: {why}\n\nhint: give the process more memory, or install Tribulation again",
                4,
            )
        if isinstance(error, OSError) and (error.filename is not None or error.errno in MACHINE):
            return _complain(*_refused_by_the_system(error, sys.argv[1:] if arguments is None else arguments))
        reported = f"internal error: {type(error).__name__}: {error}"
        return _complain(f"{reported}\n\nhint: TRI_DEBUG=1 shows the traceback; please report it", 70)
    except BaseException as error:
        # Such as asyncio's CancelledError. Python would end with exit code 1, which means an anomaly.
        return _ended_by_users(error)


def _ended_by_users(error: BaseException) -> int:
    text = f"{place_of_users(error) or 'a part of tri'} ended the command: {type(error).__name__}: {error}"
    return _complain(
        f"{text}\n\nhint: the adapter of a system must raise an exception instead; TRI_DEBUG=1 shows the traceback", 4
    )


def _refused_by_the_system(error: OSError, arguments: list[str]) -> tuple[str, int]:
    """Return the message and the exit code for an error of the operating system: 2 for a file of the command line, unless the machine is at fault (a full
    disk); otherwise 4.
    """
    name = (
        ""
        if error.filename is None
        else os.fsdecode(error.filename)
        if isinstance(error.filename, bytes)
        else str(error.filename)
    )
    is_given = error.errno not in MACHINE and any(given and given in name for given in arguments)
    text = f"{shown(name)}: {error.strerror}" if name else f"this machine: {error.strerror}"
    hint = (
        "free some space there, or name another place"
        if error.errno in MACHINE
        else "name a file or folder that this user may use"
    )
    return f"{text}\n\nhint: {hint}", 2 if is_given else 4


def _complain(message: str, code: int) -> int:
    if os.environ.get("TRI_DEBUG"):
        traceback.print_exc()
    print(f"error: {message}", file=sys.stderr)
    return code

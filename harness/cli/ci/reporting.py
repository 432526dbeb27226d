"""The options `--junit` and `--fail-on`: a verdict is printed, written for a server, and becomes an exit code.

    with reporting(junit, fail_on) as report:
        return report.print(judge(…), as_json)

The JUnit file is written at the start, with the error that the command ended without a verdict. So a file of an earlier run cannot be taken for
this one's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from tribulation.checkers import Verdict
from tribulation.histories.files.opening import NamedFile, open_regular

from ...errors import CampaignError, text_of
from ...run.outcome.verdict import ENDED_BY_USER, EXIT_UNKNOWN, EXIT_VALID, Judgement
from ..choices import Named
from ..options import PathType
from ..outcome import print_outcome
from ..refusals import writing_named
from . import github
from .cases import Case, cases_of

F = TypeVar("F", bound=Callable[..., Any])


def ci_options(command: F) -> F:
    """Add the options that the command gets as `junit` and `fail_on`."""
    fails = (
        "Which verdicts fail: with `invalid`, an unknown verdict gives exit code 0, if a checker found its part valid."
    )
    command = click.option(
        "--fail-on", type=Named("verdict", ("unknown", "invalid")), default="unknown", show_default=True, help=fails
    )(command)
    kind = PathType(dir_okay=False)
    return click.option("--junit", type=kind, metavar="FILE", help="Write the verdict to FILE as JUnit XML.")(command)


@contextmanager
def reporting(path: Path | None, fail_on: str) -> Iterator[Reporting]:
    """Yield what reports the verdict of a command. An error of the block is reported too. Raises `CampaignError` if the file cannot be written or
    is not XML.
    """
    report = Reporting(None if path is None else _begun(path), fail_on)
    try:
        yield report
    except BaseException as error:
        report.ended_by(error)
        raise


@dataclass(frozen=True, slots=True)
class Reporting:
    file: NamedFile | None
    fail_on: str

    def print(self, judgement: Judgement, as_json: bool) -> int:
        """Print the judgement, write the JUnit file, and return the exit code."""
        code = print_outcome(judgement, as_json)
        if self.fail_on == "invalid" and code == EXIT_UNKNOWN and may_pass(judgement):
            code = EXIT_VALID
            print("warning: the verdict is unknown, not valid; exit code 0 by --fail-on invalid", file=sys.stderr)
        cases = cases_of(judgement)
        known = {name: judgement.document[name] for name in ("verdict", "seed", "run", "command")}
        self._publish(judgement.document["campaign"], cases, known, unknown_passes=code == EXIT_VALID)
        return code

    def ended_by(self, error: BaseException) -> None:
        message = text_of(error) if isinstance(error, Exception) else "interrupted"
        self._publish("tri", [Case("run", "error", type(error).__name__, message, str(error))], {})

    def _publish(
        self, suite: str, cases: Sequence[Case], known: Mapping[str, object], *, unknown_passes: bool = False
    ) -> None:
        """Print the cases on stderr if GitHub Actions runs this, and write the JUnit file. An error of writing does not change the exit code."""
        for line in github.lines(cases) if github.wanted() else ():
            print(line, file=sys.stderr)
        if self.file is not None:
            from . import junit

            try:
                self.file.write(junit.document(suite, cases, known, unknown_passes=unknown_passes))
            except OSError as error:
                print(f"warning: cannot write {self.file.path}: {error.strerror}", file=sys.stderr)


def _begun(path: Path) -> NamedFile:
    """Write the JUnit file for a command that has not ended. Only an XML or empty file is replaced: others may be files that the campaign names."""
    from . import junit

    with writing_named(path, "--junit"):
        if path.is_file():
            with open_regular(path) as file:
                if file.read(64).lstrip()[:1] not in (b"", b"<"):
                    raise CampaignError(f"--junit: {path} is not XML, and would be lost", hint="name another file")
        cases = [Case("run", "error", "ended", "the command ended without a verdict")]
        return NamedFile(path, junit.document("tri", cases, {}))


def may_pass(judgement: Judgement) -> bool:
    """Return whether an unknown verdict may pass: at least one checker found its part valid, and the run was not ended early."""
    decided = any(result.verdict is Verdict.VALID for result in judgement.results.values())
    return decided and ENDED_BY_USER not in judgement.facts.errors

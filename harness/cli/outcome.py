"""The end of a command with a verdict: it prints the verdict, as text or as one document, and returns its exit code."""

from __future__ import annotations

import sys

from ..run.outcome.verdict import EXIT_BUG, EXIT_INVALID, Judgement
from .document import print_document


def print_outcome(judgement: Judgement, as_json: bool) -> int:
    """Print the judgement and return its exit code. An error while printing is a bug (70), but an anomaly is still 1."""
    try:
        if as_json:
            print_document(judgement.document)
        else:
            from .judgement import print_judgement

            print_judgement(judgement)
    except Exception as error:
        found = f"the verdict is {judgement.verdict.value}, but cannot be printed: {type(error).__name__}: {error}"
        print(
            f"internal error: {found}\n\nhint: please report it; the verdict.json of a run has the whole result",
            file=sys.stderr,
        )
        return EXIT_INVALID if judgement.exit_code == EXIT_INVALID else EXIT_BUG
    return judgement.exit_code

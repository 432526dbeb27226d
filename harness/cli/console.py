"""Output of `tri`: results on stdout, messages on stderr; a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import string
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any

from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.segment import Segment
from rich.text import Text

from tribulation.histories.printable import printable

from .process.streams import Escaping

PLAIN_EVERY_S = 5.0
LEAST_WIDTH = 40
"""Results are formatted for at least this many columns. A narrower terminal wraps the lines."""


class _Console(Console):
    """Console that escapes control characters in text and reads no markup in it; `marked` makes text with colours. Colours are written to the stream
    below `Escaping`, which would escape them.
    """

    def __init__(self, least_width: int = 1, **options: Any) -> None:
        self._least_width = least_width
        super().__init__(highlight=False, soft_wrap=True, markup=False, emoji=False, **options)

    @property
    def size(self) -> ConsoleDimensions:
        """Some terminals report zero columns, and COLUMNS may be 0. The width is at least `least_width`, so that results are not cut to nothing."""
        size = super().size
        return ConsoleDimensions(max(size.width, self._least_width), max(size.height, 1))

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size

    @property
    def file(self) -> IO[str]:
        stream = super().file
        return stream.verbatim if isinstance(stream, Escaping) else stream

    @file.setter
    def file(self, new_file: IO[str]) -> None:
        self._file = new_file

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)

    def print_json(self, json: str | None = None, **options: Any) -> None:
        """Print JSON in ASCII if the encoding is not UTF: the stream would replace missing characters by escapes that are not valid in JSON."""
        super().print_json(json, **{"ensure_ascii": not self.encoding.startswith("utf"), **options})


out = _Console(LEAST_WIDTH)
err = _Console(stderr=True)

COLOURS = {"valid": "green", "invalid": "red", "unknown": "yellow"}


class _Marking(string.Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        return escape(printable(format(value, format_spec)))


def marked(template: str, *values: object) -> Text:
    """Fill a template with values. `template` is trusted: it has rich's markup and a `{}` for each value. Markup in a value is printed as text."""
    return Text.from_markup(_Marking().vformat(template, values, {}), emoji=False)


def say(text: str) -> None:
    """Print a line on stderr."""
    err.print(Text(text))
    sys.stderr.flush()


@dataclass(frozen=True, slots=True)
class Talk:
    """Amount of output on stderr before a command's result. `quiet`: only errors. `verbose`: whole documents as well."""

    quiet: bool = False
    verbose: bool = False

    def say(self, text: str) -> None:
        if not self.quiet:
            say(text)

    def say_all(self, what: str, document: str) -> None:
        """Print a document in one line, if `verbose`."""
        if self.verbose:
            say(f"{what} {document}")

    def progress(self) -> Progress:
        return Progress(self.quiet)


class Progress:
    """The state of long work, shown as it changes: phase, elapsed, operations, active faults.

    On a terminal it is redrawn; elsewhere a plain line is printed at each change of phase, and at most every `PLAIN_EVERY_S` within one. `quiet`:
    neither. Only a terminal shows the lines of the detail after the first one.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._started = time.monotonic()
        self._phase, self._detail = "", ""
        # Called at each refresh, so that the elapsed time changes even if nothing is reported for a while.
        live = Live(console=err, refresh_per_second=8, transient=True, get_renderable=self._shown)
        self._live = live if err.is_terminal and not quiet else None
        self._quiet = quiet
        self._last_plain = 0.0
        self._last_phase = ""

    def __enter__(self) -> Progress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def _line(self) -> str:
        return f"{time.monotonic() - self._started:6.1f}s  {self._phase:<16} {self._detail.partition(chr(10))[0]}"

    def _shown(self) -> Text:
        """Return the line and the further lines of the detail, each cut at the terminal's width: a wrapped line would be redrawn in the wrong place."""
        shown = Text("\n").join(Text(line) for line in [self._line(), *self._detail.split("\n")[1:]])
        shown.no_wrap, shown.overflow = True, "ellipsis"
        return shown

    def note(self, text: str) -> None:
        """Print a line that stays: above the live view on a terminal, a plain line elsewhere. `quiet`: nothing."""
        if not self._quiet:
            say(text)

    def show(self, phase: str, detail: str = "") -> None:
        self._phase, self._detail = phase, detail
        elapsed = time.monotonic() - self._started
        line = self._line()
        if self._live is not None:
            self._live.refresh()
        elif not self._quiet and (phase != self._last_phase or elapsed - self._last_plain >= PLAIN_EVERY_S):
            self._last_plain = elapsed
            say(line)
        self._last_phase = phase

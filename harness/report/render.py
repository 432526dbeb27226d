"""Renders the view model as one HTML file that opens without a network: styles, script, data and Plotly are inside it.

Text is escaped by Jinja2, data by `_json_for_script`; a content security policy in the page forbids it to load anything.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tribulation.histories import History
from tribulation.histories.files.replacing import replacing
from tribulation.histories.printable import printable

from ..evidence.writing import writing
from .load import load_run
from .model import Report, build


def write_report(run_folder: str | Path, history: History | None = None) -> Path:
    """Write `report.html` into the run's folder and return its path. Raises `CampaignError` when it is not the folder of a run, `RunFolderError` when it cannot be written.

    `history` is the run's, if the caller already has it: reading it again takes half of the time.
    """
    run = load_run(run_folder, history)
    path = Path(run_folder) / "report.html"
    text = render(build(run))
    with writing(path), replacing(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))
    return path


def render(report: Report) -> str:
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            data=_json_for_script(report.charts),
            plotly=_plotly(),
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tribulation.harness.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["pretty"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False, default=str)
    environment.globals["verbatim"] = _verbatim
    return environment


def _shown(value: Any) -> Any:
    """Text in which no character hides or reverses what follows, if it came from others; our own is `Markup`."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _verbatim(name: str) -> Markup:
    """A file of ours in the templates' folder, put into the page unchanged."""
    return Markup((Path(__file__).parent / "templates" / name).read_text(encoding="utf-8"))


@cache
def _plotly() -> Markup:
    # Importing plotly costs a noticeable part of a second, and only a report needs it.
    from plotly.offline import get_plotlyjs

    return Markup(get_plotlyjs())


def _json_for_script(value: Any) -> Markup:
    """JSON that is safe inside a script element: nothing in it can end the element or begin a comment."""
    text = printable(json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)

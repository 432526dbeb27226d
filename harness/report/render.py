"""Renderer of the view model as one HTML file that opens without a network: styles, script and data are inside it.

Text is escaped by Jinja2, data by `_json_for_script`. A content security policy in the page forbids it to load anything, and to run any script but
ours, which it names by its digest.
"""

from __future__ import annotations

import base64
import hashlib
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
from .findings import drawn_spans_ns, moments
from .load import load_run
from .model import Report, build
from .nodes.messages import Log, keep_messages
from .nodes.reading import read_nodes
from .witness import Operations

SCRIPTS = ("data.js", "canvas.js", "timeline.js", "panels.js", "page.js")
"""Files of the page's script, in their order."""


def write_report(run_folder: str | Path, history: History | None = None, messages: Log | None = None) -> Path:
    """Write `report.html` into the run's folder and return its path. Raises `CampaignError` when it is not the folder of a run, `RunFolderError` when
    it cannot be written.

    `history` is the run's, if the caller already has it: reading it again takes half of the time. Of `messages`, those around witnesses are kept in
    the folder.
    """
    run = load_run(run_folder, history)
    path = Path(run_folder) / "report.html"
    operations = Operations(run.history)
    if messages is not None:
        with writing(path):
            keep_messages(run.folder, messages, drawn_spans_ns(run.verdict, operations))
    text = render(build(run, operations, read_nodes(run.folder, moments(run.verdict, operations))))
    with writing(path), replacing(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))
    return path


def render(report: Report) -> str:
    script = Markup("\n").join(map(_verbatim, SCRIPTS))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        _environment()
        .get_template("report.html.j2")
        .render(report=report, data=_json_for_script(report.charts), script=script, script_digest=digest)
    )


def render_page(template: str, **values: Any) -> str:
    """A page without a script from one of the templates."""
    return _environment().get_template(template).render(**values)


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
    environment.globals["verbatim"] = _verbatim
    return environment


def _shown(value: Any) -> Any:
    """Text of others, with characters escaped that would hide or reverse the following text; our own text is `Markup`."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _verbatim(name: str) -> Markup:
    """A file of the templates' folder, which is put into the page unchanged."""
    return Markup((Path(__file__).parent / "templates" / name).read_text(encoding="utf-8"))


def _json_for_script(value: Any) -> Markup:
    """JSON that is safe inside a script element: nothing in it can end the element or begin a comment."""
    text = printable(json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)

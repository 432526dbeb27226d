"""JUnit XML: the file by which most continuous integration servers show tests.

Servers show a skipped test as a pass. So a case that is unknown is an error, unless the user accepts unknown verdicts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as ET

from tribulation.histories.printable import in_a_line, printable

from .cases import Case

LONGEST_MESSAGE = 1_000
_NOT_XML = re.compile("[\ufffe\uffff]")


def document(suite: str, cases: Sequence[Case], known: Mapping[str, object], *, unknown_passes: bool = False) -> str:
    """Return the file's text. `known`: properties of the suite. `unknown_passes`: cases in doubt are skipped, not errors."""
    tags = [_tag(case, unknown_passes) for case in cases]
    counts = {
        "tests": len(cases),
        **{f"{tag}s" if tag != "skipped" else tag: tags.count(tag) for tag in ("failure", "error", "skipped")},
    }
    figures = {name: str(count) for name, count in counts.items()}
    root = ET.Element("testsuites", {"name": "tribulation", **figures})
    element = ET.SubElement(root, "testsuite", {"name": _line(suite), **figures})
    properties = ET.SubElement(element, "properties")
    for name, value in known.items():
        ET.SubElement(properties, "property", {"name": name, "value": _line(str(value))})
    for case, tag in zip(cases, tags, strict=True):
        test = ET.SubElement(
            element, "testcase", {"classname": f"tribulation.{_line(suite)}", "name": _line(case.name)}
        )
        if tag is not None:
            message = _line(case.message)[:LONGEST_MESSAGE]
            ET.SubElement(test, tag, {"type": _line(case.kind), "message": message}).text = _text(case.text)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _tag(case: Case, unknown_passes: bool) -> str | None:
    if case.outcome == "passed":
        return None
    if case.outcome == "unknown":
        return "skipped" if unknown_passes else "error"
    return "failure" if case.outcome == "failed" else "error"


def _text(text: str) -> str:
    """Escape control characters and replace the others that XML forbids; XML cannot contain them even as character references."""
    return _NOT_XML.sub("?", printable(text))


def _line(text: str) -> str:
    return _NOT_XML.sub("?", in_a_line(text))

"""Writer of docs/internals/map.md: which file does what, from the first sentence of each module's docstring. `make map` runs it, and
make_reference.py after it.
"""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAP = ROOT / "docs/internals/map.md"
PACKAGES = ("node", "histories", "checkers", "harness")

HEAD = """# Which file does what

Written by `make map` from the first sentence of each module; change it there. [Architecture](../architecture.md) says how they fit together.
"""


def text() -> str:
    sections = [HEAD]
    for package in PACKAGES:
        folders = sorted({path.parent for path in (ROOT / package).rglob("*.py")})
        sections += [_section(folder) for folder in folders]
    return "\n".join(section for section in sections if section)


def _section(folder: Path) -> str:
    """A heading with the package's own sentence, and a row for each module that has something to say."""
    name = folder.relative_to(ROOT).as_posix()
    opening = _first_sentence(folder / "__init__.py") if (folder / "__init__.py").exists() else ""
    modules = [path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
    if not modules:
        return ""
    rows = [f"| [`{path.name}`](../../{name}/{path.name}) | {_first_sentence(path)} |" for path in modules]
    return "\n".join([f"## `{name}/`", "", *([opening, ""] if opening else []), "| file | |", "|---|---|", *rows, ""])


def _first_sentence(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(docstring.split("\n\n")[0].split())
    sentence = re.split(r"(?<=[.!?])\s+(?=[A-Z`])", paragraph)[0]
    return sentence.rstrip(":").replace("|", "\\|")


if __name__ == "__main__":
    MAP.parent.mkdir(parents=True, exist_ok=True)
    MAP.write_text(text(), encoding="utf-8")
    runpy.run_path(str(ROOT / "scripts/make_reference.py"), run_name="__main__")

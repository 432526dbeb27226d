"""Check prose against the project's word list: documentation, docstrings, comments, messages and help texts.

scripts/words.py                  every finding
scripts/words.py PATH…            those in these files and folders
scripts/words.py --draw 40 --seed 7   40 docstrings, 40 messages and 40 sentences of the docs, to be read by a person
"""

from __future__ import annotations

import argparse
import ast
import io
import random
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GENERATED = {ROOT / "docs/internals/map.md", ROOT / "docs/reference/fields"}

INSTEAD = {
    r"tells?|told|telling": "report, record, send or print; `distinguish` for `tell apart`",
    r"whoever|whomever": "anyone; or name the process",
    r"whom": "name the process, or split the sentence",
    r"who": "which or that for a process; `who` only after a word for people",
    r"he|him|his|himself|she|hers?|herself": "it or its for a process; they or the user for a person",
    r"nobody|no-one": "no one; better: no node, no client, nothing",
    r"somebody": "someone; better: a user, a process",
    r"anew": "again",
    r"shall": "must, will or should",
    r"nor": "or; or begin a new sentence",
    r"for ever|forevermore": "forever; better: without end, never ends",
    r"mend(?:s|ed|ing)?": "fix, repair or heal",
    r"besides": "also, apart from or other than",
    r"beside": "next to, with or and",
    r"lest|whence|thence|ere|hereof|thereof|wherein|whereupon": "so that … not, from where, in which, after which",
}
"""Each word (a pattern of whole words) with what to write instead."""

NOT_A = re.compile(
    r"(?<!there )(?<!it )\bis no (?!longer\b|more\b|less\b|such\b|one\b|way\b|need\b)[a-z]+", re.IGNORECASE
)
"""In messages of the code: "is no duration"."""

_OPENING = re.compile(
    r"(As|At|By|For|From|How|If|In|None|Not|Of|On|Only|Since|Until|What|When|Where|Whether|Which|Why|With|Without"
    r"|Gives|Keeps|Makes|Raises|Returns|Takes|Yields)\b"
)
"""Words with which no docstring of a module, class or function begins: the first word is a verb in the imperative, or a noun."""

_AFTER_PEOPLE = re.compile(
    r"\b(?:(?:any|every|some)?one|those|people|person|caller|expert|(?:user|reader|engineer|operator|developer|author|attacker|owner|maintainer)s?)\W+$",
    re.IGNORECASE,
)
_ANY = re.compile(rf"(?<![\w`-])(?:{'|'.join(INSTEAD)})(?![\w`-])|is no ", re.IGNORECASE)
_WORDS = [
    (re.compile(rf"(?<![\w`-])(?:{words})(?![\w`-])", re.IGNORECASE), instead) for words, instead in INSTEAD.items()
]
_CODE = re.compile(r"``[^`]*``|`[^`\n]*`")
_FENCE = re.compile(r"^ *(```|~~~)")


@dataclass(frozen=True)
class Finding:
    path: str
    line: int
    found: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.found!r}: write {self.instead}"


def findings_in_text(text: str, *, message: bool = False) -> Iterator[tuple[int, str, str]]:
    """Offset of the line, the word and what to write instead; code in backticks is skipped."""
    if not _ANY.search(text):
        return
    for offset, line in enumerate(text.splitlines()):
        prose = _CODE.sub("", line)
        for pattern, instead in _WORDS:
            for match in pattern.finditer(prose):
                if match[0].lower() != "who" or not _AFTER_PEOPLE.search(prose[: match.start()]):
                    yield offset, match[0], instead
        if message:
            for match in NOT_A.finditer(prose):
                yield offset, match[0], "is not a valid …"


def prose_of_markdown(text: str) -> Iterator[tuple[int, str]]:
    """Lines outside fenced blocks; link targets are left out."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            yield number, re.sub(r"\]\([^)]*\)", "]", line)


def prose_of_yaml(text: str) -> Iterator[tuple[int, str]]:
    """Comments, and the description of a campaign."""
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.search(r"(?:^|\s)#(.*)|^description:(.*)", line):
            yield number, match[1] or match[2] or ""


def prose_of_python(text: str, *, messages: bool) -> Iterator[tuple[int, str, bool]]:
    """Comments, if any has a word of the list, and docstrings; with `messages`, also formatted strings and strings of three words and more (the flag
    is then set).
    """
    if any(_ANY.search(line, line.index("#")) for line in text.splitlines() if "#" in line):
        # To split a file into tokens takes long.
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string, False
    statements: set[int] = set()
    formatted: set[int] = set()
    for node in ast.walk(ast.parse(text)):  # parents before their children
        if isinstance(node, ast.Expr):
            statements.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            formatted.update(map(id, node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) in statements:
                yield node.lineno, node.value, False
            elif messages and (id(node) in formatted or len(node.value.split()) > 2):
                yield node.lineno, node.value, True


def openings_of_python(text: str) -> Iterator[tuple[int, str]]:
    """Line and first word of each docstring that begins with no verb and no noun. A property's may begin with `Whether` or `What`: it is a value."""
    if not re.search(f'"""{_OPENING.pattern}', text):
        return
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        found = _OPENING.match(ast.get_docstring(node) or "")
        is_value = any("property" in ast.unparse(decorator) for decorator in getattr(node, "decorator_list", ()))
        if found and not is_value:
            yield node.body[0].lineno, found[1]


def findings_in(path: Path) -> list[Finding]:
    name = path.relative_to(ROOT).as_posix()
    text = path.read_text(encoding="utf-8")
    openings = openings_of_python(text) if path.suffix == ".py" and not name.startswith("tests/") else ()
    begun = [Finding(name, line, word, "a verb in the imperative, or a noun, first") for line, word in openings]
    if not _ANY.search(text):
        return begun
    parts: Iterator[tuple[int, str, bool]]
    if path.suffix == ".py":
        parts = prose_of_python(text, messages=not name.startswith("tests/"))
    else:
        prose = prose_of_markdown(text) if path.suffix == ".md" else prose_of_yaml(text)
        parts = ((line, part, False) for line, part in prose)
    return begun + [
        Finding(name, line + offset, found, instead)
        for line, part, message in parts
        for offset, found, instead in findings_in_text(part, message=message)
    ]


def files() -> list[Path]:
    """Return the files to check; the list of changes and the pages generated from docstrings are not among them."""
    written = [path for path in (ROOT / "docs").rglob("*.md") if path not in GENERATED and path.parent not in GENERATED]
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *written]
    code = [path for folder in CODE for path in (ROOT / folder).rglob("*.py")]
    return sorted(
        {*pages, *code, *(path for room in ("campaigns", "systems") for path in (ROOT / room).rglob("*.yaml"))}
    )


CODE = ("node", "harness", "histories", "checkers", "systems", "scripts", "benchmarks", "tests")


ROOMS = ("node", "harness", "histories", "checkers")


def passages() -> Iterator[tuple[str, str, str]]:
    """Each docstring, message of five words and more, and sentence of the documentation: kind, place, text."""
    for path in files():
        name = path.relative_to(ROOT).as_posix()
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".md" and not name.startswith("docs/internals/"):
            for line, part in prose_of_markdown(text):
                if not part.startswith(("#", "|", "!")):
                    yield from (
                        ("sentence", f"{name}:{line}", one)
                        for one in re.split(r"(?<=[.?!]) +", part.strip(" -"))
                        if len(one.split()) >= 5
                    )
        elif path.suffix == ".py" and name.startswith(ROOMS):
            for line, part, message in prose_of_python(text, messages=True):
                if not part.startswith("#") and len(part.split()) >= (5 if message else 1):
                    yield "message" if message else "docstring", f"{name}:{line}", " ".join(part.split())


def draw(count: int, seed: int) -> list[str]:
    """Draw `count` passages of each kind, drawn by the seed."""
    found: dict[str, list[str]] = {}
    for kind, place, text in passages():
        found.setdefault(kind, []).append(f"{kind} {place}: {text}")
    return [
        one
        for kind, texts in sorted(found.items())
        for one in random.Random(f"{seed}/{kind}").sample(texts, min(count, len(texts)))
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--draw", type=int, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.draw:
        print("\n".join(draw(options.draw, options.seed)))
        return 0
    wanted = [path.resolve() for path in options.paths or [ROOT]]
    chosen = [path for path in files() if any(path.is_relative_to(each) for each in wanted)]
    found = [finding for path in chosen for finding in findings_in(path)]
    print("\n".join(str(finding) for finding in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

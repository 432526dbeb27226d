"""Prose keeps to the word list."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts/words.py"
WORDS = runpy.run_path(str(SCRIPT), run_name="words")


def _found(text: str, *, message: bool = False) -> list[str]:
    return [word.lower() for _, word, _ in WORDS["findings_in_text"](text, message=message)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It tells whoever asks.", ["tells", "whoever"]),
        ("Nobody was told anew.", ["nobody", "told", "anew"]),
        ("The node, who shall retry, nor waits for ever.", ["who", "shall", "nor", "for ever"]),
        ("A reader who asks; those who know; users who wait.", []),
        ("A file beside the log, besides one mended.", ["beside", "besides", "mended"]),
        ("He asks whom he trusts.", ["he", "whom", "he"]),
        ("Normal intelligence, retold: shallow, north, who-is-who.", []),
        ("Code is not prose: `tell(who)`, ``nobody``.", []),
    ],
)
def test_words_with_a_better_one_are_found(text: str, found: list[str]) -> None:
    assert sorted(_found(text)) == sorted(found)


def test_a_message_names_what_is_not_valid() -> None:
    assert _found("'x' is no duration", message=True) == ["is no duration"]
    assert _found("there is no node; it is no longer there; this is no way to go", message=True) == []
    assert _found("the empty set is no quorum") == []


def test_markdown_is_read_outside_code_and_link_targets() -> None:
    text = "told\n```\ntold\n```\n[here](tell.md) is `told`\n"
    assert [line for line, _ in WORDS["prose_of_markdown"](text)] == [1, 5]
    assert "tell.md" not in "".join(part for _, part in WORDS["prose_of_markdown"](text))


def test_yaml_is_read_in_its_comments_and_its_description() -> None:
    text = "# told\nname: told\ndescription: nobody\nload: 3s  # anew\n"
    assert [(line, part.strip()) for line, part in WORDS["prose_of_yaml"](text)] == [
        (1, "told"),
        (3, "nobody"),
        (4, "anew"),
    ]


def test_python_is_read_in_comments_docstrings_and_messages() -> None:
    text = '"""a told"""\nx = "told"  # b told\ny = f"told {x}"\nz = "this is a message"\n'
    read = list(WORDS["prose_of_python"](text, messages=True))
    assert [(part, message) for _, part, message in read] == [
        ("# b told", False),
        ("a told", False),
        ("this is a message", True),
        ("told ", True),
    ]
    assert len(list(WORDS["prose_of_python"](text, messages=False))) == 2


def test_docstrings_begin_with_a_verb_or_a_noun() -> None:
    text = '''"""What this does."""
class A:
    """Makes values."""
    def good(self):
        """Return whether it is good."""
    @property
    def fine(self):
        """Whether it is fine."""
    async def bad(self):
        """Whether it is bad."""
    name = "whether"
    """When it began."""
'''
    assert list(WORDS["openings_of_python"](text)) == [(1, "What"), (3, "Makes"), (10, "Whether")]
    assert list(WORDS["openings_of_python"]('"""Whatever; Issue of a name."""\n')) == []


def test_no_file_has_any_of_these_words() -> None:
    found = [str(finding) for path in WORDS["files"]() for finding in WORDS["findings_in"](path)]
    assert found == []

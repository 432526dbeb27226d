"""What a user wrote wrongly is named with its file, line, field and value; all of it at once; and what is near it."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, field_validator

from tribulation.harness.errors import CampaignError
from tribulation.harness.evidence.documents import required_document
from tribulation.harness.user_files.yaml_bounds import MOST_BYTES
from tribulation.harness.user_files.yaml_loader import load_yaml, parse_yaml, validate


class Host(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    port: int = Field(default=22, ge=1, le=65535)

    @field_validator("name")
    @classmethod
    def short(cls, name: str) -> str:
        if len(name) > 5:
            raise ValueError("must have at most 5 letters")
        return name


class Document(BaseModel):
    model_config = ConfigDict(extra="forbid")
    hosts: list[Host]
    consent: bool
    extra: dict[str, Host] | None = None


def refusal(text: str) -> CampaignError:
    with pytest.raises(CampaignError) as caught:
        validate(Document, *parse_yaml(text, "lab.yaml"), "lab.yaml")
    return caught.value


def test_a_good_document_becomes_the_model(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text("hosts:\n  - {name: a, port: 2222}\nconsent: true\n")
    assert validate(Document, *load_yaml(path), path) == Document(hosts=[Host(name="a", port=2222)], consent=True)


def test_all_problems_are_listed_at_once_with_their_lines() -> None:
    error = refusal("hosts:\n  - name: alphabet\n    port: 99999\n  - nmae: b\nconsent: maybe\n")
    assert error.message.splitlines() == [
        "lab.yaml:2: hosts[0].name: must have at most 5 letters (got 'alphabet')",
        "lab.yaml:3: hosts[0].port: input should be less than or equal to 65535 (got 99999)",
        "lab.yaml:4: hosts[1].name: required, but missing",
        "lab.yaml:4: hosts[1].nmae: unknown field (got 'b')",
        "lab.yaml:5: consent: input should be a valid boolean, unable to interpret input (got 'maybe')",
    ]
    assert "did you mean 'name' instead of 'nmae'?" in str(error.hint)


def test_unknown_fields_behind_unions_and_mappings_are_suggested() -> None:
    error = refusal("hosts: []\nconsent: true\nextra:\n  x: {name: a, prot: 1}\n")
    assert "lab.yaml:4: extra.x.prot: unknown field (got 1)" in error.message
    assert "'port'" in str(error.hint)


def test_duplicate_keys_are_refused_with_both_lines() -> None:
    with pytest.raises(CampaignError, match=r"lab.yaml:3: consent: duplicate key, first given on line 2"):
        parse_yaml("hosts: []\nconsent: true\nconsent: false\n", "lab.yaml")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [1, 2\nb: 3\n", 2),
        ("a:\n\t- 1\n", 2),
        ("a: 1\n---\nb: 2\n", 2),
        ("a: *b\n", 1),
    ],
)
def test_bad_syntax_names_the_line(text: str, line: int) -> None:
    with pytest.raises(CampaignError, match=rf"lab.yaml:{line}: not valid YAML"):
        parse_yaml(text, "lab.yaml")


def test_missing_unreadable_and_empty_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="no such file"):
        load_yaml(tmp_path / "absent.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CampaignError, match="cannot be read"):
        load_yaml(tmp_path / "binary.yaml")
    assert "document: input should be" in refusal("").message


def test_scalars_are_those_of_yaml_1_2() -> None:
    data, _ = parse_yaml("{on: yes, at: 10:22, day: 2026-01-02, n: 010, e: 1e3, h: 0x10, t: true, z: null, f: .5}", "x")
    assert data == {
        "on": "yes",
        "at": "10:22",
        "day": "2026-01-02",
        "n": 10,
        "e": 1000.0,
        "h": 16,
        "t": True,
        "z": None,
        "f": 0.5,
    }


def test_an_alias_has_the_lines_of_what_it_stands_for_and_a_value_of_its_own() -> None:
    data, positions = parse_yaml("a: &a\n  b: 1\nagain: *a\n", "x")
    assert data["a"] == data["again"] and data["a"] is not data["again"]
    assert positions.line(("again", "b")) == 2


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))

REFUSED = [
    (BOMB, 12, "more than 10000 values"),
    ("a: &a\n  b: 1\n  again: *a\n", 3, "the alias *a refers to a value that contains it"),
    ("a: [&b [*b]]\n", 1, "the alias *b refers to a value that contains it"),
    ("a: 1\nb: !!python/name:os.system x\n", 2, "the tag '!!python/name:os.system' is not accepted"),
    ("a: !!set {x}\n", 1, "the tag '!!set'"),
    ("a: ! x\n", 1, "the tag '!'"),
    ("a: " + "[" * 5000, 1, "nested more than 32 deep"),
    ("- " * 5000 + "x", 1, "nested more than 32 deep"),
    (
        "a: &a [[[[[[[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]]]]]]\nb: [[[[[[[[[[[[[*a]]]]]]]]]]]]]\n",
        2,
        "nested more than 32 deep",
    ),
    ("a: 1\nn: " + "9" * 100, 2, "has more than 64 bits"),
    ("n: 0x" + "f" * 17, 1, "has more than 64 bits"),
    ("a: 1\n2: b\n", 2, "a key must be text, not '2'"),
    ("a: {[b]: 1}\n", 1, "a key must be text, not a list or a mapping"),
    ('a: "\\0"\n', 1, "NUL"),
    ('a: "\\uD800"\n', 1, "half a surrogate"),
    ('a: "\\UFFFFFFFF"\n', None, "not valid YAML"),
    ("a: [1, 2, 3]\n" * 2, 2, "duplicate key"),
]


@pytest.mark.parametrize(("text", "line", "what"), REFUSED, ids=[case[2] + case[0][:8] for case in REFUSED])
def test_what_is_too_much_is_refused_with_its_line_and_quickly(text: str, line: int | None, what: str) -> None:
    begun_s = time.process_time()
    with pytest.raises(CampaignError) as caught:
        parse_yaml(text, "lab.yaml")
    assert time.process_time() - begun_s < 1.0
    assert caught.value.message.startswith("lab.yaml:" if line is None else f"lab.yaml:{line}: ")
    assert what in caught.value.message and caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "#" * (MOST_BYTES - 1),
        "x" * MOST_BYTES,
        "x: " * (MOST_BYTES // 3),
        "x " * (MOST_BYTES // 2),
        "a,\n" * (MOST_BYTES // 3),
        "[a,b],\n" * (MOST_BYTES // 7),
        "{" * MOST_BYTES,
        "- a\n" * (MOST_BYTES // 4),
        '"' + "\\x41" * (MOST_BYTES // 4 - 1) + '"',
        "'" * MOST_BYTES,
        "a: |\n" + " x\n" * (MOST_BYTES // 4),
        "? a\n" * (MOST_BYTES // 4),
        "".join(f"k{n}: 1\n" for n in range(18_000)),
        "".join(f"&a{n} " for n in range(20_000)),
        "%TAG ! a\n" * (MOST_BYTES // 9),
    ],
    ids=lambda text: text[:12],
)
def test_a_whole_file_of_anything_is_judged_quickly_and_never_printed_whole(text: str) -> None:
    begun_s = time.process_time()
    with pytest.raises(CampaignError) as caught:
        validate(Document, *parse_yaml(text, "lab.yaml"), "lab.yaml")
    assert time.process_time() - begun_s < 3.0
    assert len(str(caught.value)) < 20_000


def test_only_regular_files_of_a_bounded_size_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "large.yaml").write_bytes(b"a" * (MOST_BYTES + 1))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket.yaml"))
        for path, what in (
            (tmp_path / "pipe.yaml", "cannot be read: it is a pipe, not a regular file"),
            (tmp_path / "socket.yaml", "cannot be read"),
            (Path("/dev/zero"), "it is a device or socket"),
            (tmp_path, "it is a folder"),
            (tmp_path / "large.yaml", f"has {MOST_BYTES + 1} bytes, more than {MOST_BYTES}"),
            (tmp_path / ("n" * 300), "cannot be read"),
            (tmp_path / "a\0b", "cannot be read"),
        ):
            with pytest.raises(CampaignError, match=what):
                load_yaml(path)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "1" * 5000, "NaN", "[\n1,\nx]"])
def test_json_of_users_is_bounded_too(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(CampaignError, match=r"a\.json"):
        required_document(tmp_path / "a.json", "another file")


@given(st.text())
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        validate(Document, *parse_yaml(text, "x.yaml"), "x.yaml")
    except CampaignError as error:
        assert "x.yaml" in error.message

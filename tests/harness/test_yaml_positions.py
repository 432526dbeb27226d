"""What a user wrote wrongly is named with its file, line, field and value; all of it at once; and what is near it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, field_validator

from harness.errors import CampaignError
from harness.yaml_positions import load_yaml, parse_yaml, validate


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
        ("a: !!python/name:os.system x\n", 1),
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
    with pytest.raises(CampaignError, match="cannot be read"):
        load_yaml(tmp_path)
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


def test_a_recursive_alias_ends() -> None:
    data, positions = parse_yaml("a: &a\n  b: 1\n  again: *a\n", "x")
    assert data["a"]["again"] is data["a"]
    assert positions.line(("a", "again", "b")) == 3


@given(st.text())
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        validate(Document, *parse_yaml(text, "x.yaml"), "x.yaml")
    except CampaignError as error:
        assert "x.yaml" in error.message

"""`tri show`: every entry of the catalogues is shown as it is; its example is one that a campaign accepts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tribulation.checkers.registry import CHECKERS, OF_WORKLOAD
from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.cli.catalogue.entries import NAMES, entry
from tribulation.harness.cli.catalogue.fields import rows
from tribulation.harness.cli.main import main
from tribulation.harness.nemesis.specs.specs import SPECS
from tribulation.harness.workloads import WORKLOADS

ROOT = Path(__file__).resolve().parents[3]
EVERY = [(kind, name) for kind in NAMES for name in NAMES[kind]()]


def _tri(capsys: Any, *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_every_entry_has_a_meaning_and_a_page(kind: str, name: str) -> None:
    found = entry(kind, name)
    assert found.about and found.example and (ROOT / "docs" / found.page).is_file()
    assert [row.name for row in (*found.fields, *found.shared) if not row.about or not row.type] == []
    json.dumps(found.to_json(), default=str)


@pytest.mark.parametrize("kind", ["fault", "workload"])
def test_an_example_is_accepted_by_a_campaign(kind: str, tmp_path: Path) -> None:
    refused = []
    for name in NAMES[kind]():
        campaign: dict[str, Any] = {
            "name": "x",
            "duration": "10m",
            "system": {"membership": {}},
            "workloads": [{"register": {}}],
        }
        campaign[f"{kind}s"] = yaml.safe_load(entry(kind, name).example)
        if entry(kind, name).page == "reference/workloads.md":
            campaign["system"] = {"file": "own.py"}
        if name == "client":
            campaign |= {"system": {"file": "own.py"}, "clients": "processes"}
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(campaign))
        try:
            load_campaign(path)
        except Exception as error:
            refused.append(f"{name}: {entry(kind, name).example}: {error}")
    assert refused == []


def test_a_default_is_what_the_model_takes_when_nothing_is_said() -> None:
    """Each default that is shown, given as it is shown, makes the same section as leaving it out."""
    for name, (spec, _) in WORKLOADS.items():
        shown = {row.name: row.default for row in rows(spec) if row.default is not None}
        assert spec.model_validate(shown) == spec.model_validate({}), name


def test_the_fields_of_a_fault_are_those_of_its_model() -> None:
    for name, spec in SPECS.items():
        found = entry("fault", name)
        assert {row.name for row in (*found.fields, *found.shared)} == {
            field.serialization_alias or key for key, field in spec.model_fields.items()
        }


def test_types_and_bounds_are_read_from_the_model() -> None:
    shapes = {row.name: row for row in entry("fault", "partition").fields}
    assert shapes["shape"].required and "majorities-ring" in shapes["shape"].type
    assert "random(K)" in shapes["target"].type
    timing = {row.name: row for row in entry("fault", "partition").shared}
    assert timing["for"].type.startswith("duration") and timing["stagger"].default == "0s"
    assert timing["times"].type == "integer (1 to 100000)"
    keys = {row.name: row for row in entry("workload", "register").fields}["keys"]
    assert (keys.type, keys.default, keys.about) == ("integer (1 to 10000)", 8, "number of registers")


def test_what_feeds_what_agrees_in_both_directions() -> None:
    for name in WORKLOADS:
        judges = entry("workload", name).facts["judged by"]
        assert set(judges) <= set(CHECKERS) and OF_WORKLOAD.get(name, judges[0]) in judges
        assert all(name in entry("checker", judge).facts["workloads"] for judge in judges)
    flaw = entry("flaw", "vote-not-durable")
    assert flaw.facts["needs faults"] == ["kill"]
    assert "vote-not-durable" in entry("checker", flaw.facts["caught by"][0]).facts["catches flaws"]


def test_the_command_prints_it_and_one_document(capsys: Any) -> None:
    code, reported, _ = _tri(capsys, "show", "checker", "recovery")
    assert code == 0 and "docs/reference/checkers/recovery.md" in reported
    code, reported, _ = _tri(capsys, "show", "fault", "clock", "--json")
    document = json.loads(reported)
    assert code == 0 and document["kind"] == "fault" and "offset" in {row["name"] for row in document["fields"]}


def test_an_unknown_name_is_refused_with_the_nearest(capsys: Any) -> None:
    code, _, reported = _tri(capsys, "show", "fault", "partitoin")
    assert code == 2 and "unknown fault 'partitoin'" in reported and "hint: did you mean 'partition'" in reported

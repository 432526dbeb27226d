"""The user's code in a run's folder: the adapter is evidence, with its SHA-256, and nothing executes it from there without being asked."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.errors import CampaignError
from tribulation.harness.evidence.seal import broken_seals
from tribulation.harness.run.outcome.run_folder import RunFacts, read_facts
from tribulation.harness.run.plan.build import make_plan, make_system
from tribulation.harness.run.settings import Settings, open_run_folder

ROOT = Path(__file__).parents[3]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    own = tmp_path / "own"
    own.mkdir()
    for name in ("register_server.py", "controls.py"):
        (own / name).write_bytes((ROOT / "tests/systems" / name).read_bytes())
    (own / "register_server.py").write_text(
        (own / "register_server.py").read_text() + "\n\ndef late():\n    import later\n"
    )
    (own / "later.py").write_text("import even_later\nimport json\n")
    for name in ("even_later", "json", "secrets_of_mine"):
        (own / f"{name}.py").write_text("")
    (own / "note.txt").write_text("not code")
    (own / "register.yaml").write_bytes((ROOT / "tests/systems/register-server.yaml").read_bytes())
    campaign = load_campaign(own / "register.yaml")
    settings = Settings("tri run", own, tmp_path / "runs", lambda phase, detail: None)
    return open_run_folder(campaign, make_plan(campaign, own), settings)


def test_the_adapter_is_kept_with_the_siblings_that_it_imports_and_their_digests(run: Path) -> None:
    kept = {path.relative_to(run).as_posix(): path for path in run.rglob("*.py")}
    assert set(kept) == {f"adapter/{name}.py" for name in ("register_server", "later", "even_later")}
    code = read_facts(run).code
    assert code == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in kept.items()}


def test_a_change_of_the_same_size_is_reported(run: Path) -> None:
    sealed: RunFacts = read_facts(run).sealed(run)
    assert "adapter/register_server.py" in sealed.files
    path = run / "adapter/register_server.py"
    path.write_bytes(path.read_bytes().replace(b"import", b"lmport"))
    found = broken_seals(run, sealed.files)
    assert [(gap.part, gap.name, gap.changed) for gap in found] == [("code", "adapter/register_server.py", True)]


def test_a_copy_is_executed_only_when_it_is_named(run: Path) -> None:
    original = run.parents[2] / "own/register_server.py"
    original.unlink()
    campaign = load_campaign(run / "campaign.yaml")
    with pytest.raises(
        CampaignError, match=r"does not exist; .*adapter/register_server.py is the run's copy"
    ) as refused:
        make_system(campaign, make_plan(campaign, run), run)
    assert refused.value.hint and "--set system.file=adapter/register_server.py" in refused.value.hint
    named = load_campaign(run / "campaign.yaml", ["system.file=adapter/register_server.py"])
    assert make_system(named, make_plan(named, run), run).service.name


def test_the_files_of_a_client_program_are_kept_with_the_adapter_and_found_from_there(tmp_path: Path) -> None:
    own = tmp_path / "own"
    (own / "client").mkdir(parents=True)
    server = (ROOT / "tests/systems/register_server.py").read_text()
    program = (
        "\n\nfrom tribulation.testing import ProgramClient\n\n\nclass Program(ProgramClient):\n"
        "    command, files = ['sh', 'client/main.sh', '/etc/passwd'], ['client/part.txt']\n"
        "    operations = {'read', 'write', 'cas', 'add'}\n\n\nclient = Program\n"
    )
    (own / "register_server.py").write_text(server + program)
    (own / "controls.py").write_bytes((ROOT / "tests/systems/controls.py").read_bytes())
    (own / "client/main.sh").write_text("exit 0\n")
    (own / "client/main.sh").chmod(0o755)
    (own / "client/part.txt").write_text("part")
    (own / "client/secret").write_text("not of the program")
    (own / "register.yaml").write_bytes((ROOT / "tests/systems/register-server.yaml").read_bytes())
    campaign = load_campaign(own / "register.yaml")
    plan = make_plan(campaign, own)
    settings = Settings("tri run", own, tmp_path / "runs", lambda phase, detail: None)
    made = open_run_folder(campaign, plan, settings, programs=make_system(campaign, plan, own).program_files())
    kept = {path.relative_to(made / "adapter").as_posix() for path in (made / "adapter").rglob("*") if path.is_file()}
    assert kept == {"register_server.py", "client/main.sh", "client/part.txt"}
    assert (made / "adapter/client/main.sh").stat().st_mode & 0o111
    assert {"adapter/client/main.sh", "adapter/client/part.txt"} <= read_facts(made).code.keys()
    shutil.rmtree(own)
    named = load_campaign(made / "campaign.yaml", ["system.file=adapter/register_server.py"])
    found = make_system(named, make_plan(named, made), made)
    assert {path.parent.parent for path in found.program_files()} == {(made / "adapter").resolve()}

"""`tri check` and `tri convert` on history files: formats, models, explanations, certificates, and refusals with their exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.harness.report.folders import write_run
from tribulation.harness.cli.main import main
from tribulation.harness.run.outcome.run_folder import RunFacts
from tribulation.histories import parse, write_history
from tribulation.histories.formats import read

STALE = "p0 w1 p0 w2 p1 r1"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_history("valid.jsonl", parse("p0 w1 | p1 r1").events)
    write_history("stale.jsonl", parse(STALE).events)
    os.mkfifo("unread")
    return tmp_path


def tri(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.mark.parametrize("form", ["edn", "edn-vector", "elle-json", "jepsen-log", "jsonl"])
def test_a_converted_history_gets_the_same_verdict(folder: Path, form: str) -> None:
    for name, code in (("valid", 0), ("stale", 1)):
        assert tri("convert", f"{name}.jsonl", f"{name}.out", "--to", form) == 0
        assert tri("check", f"{name}.out") == code
        assert tri("check", f"{name}.out", "--format", form, "--model", "register") == code


def test_convert_says_what_it_did_and_takes_the_ending_as_the_format(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tri("convert", "valid.jsonl", "valid.edn") == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "valid.jsonl (jsonl) → valid.edn (edn): 2 operations" in said.err
    assert len(read("valid.edn").operations()) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["convert", "gone.edn", "x.edn"], "cannot read the history gone.edn"),
        (["convert", "valid.jsonl", "x.txt"], "ending of a known format"),
        (["convert", "valid.jsonl", "no/such/x.edn"], "cannot write no/such/x.edn"),
        (["convert", "valid.jsonl", "x.edn", "--to", "xml"], "unknown history format 'xml'"),
        (["check", "valid.jsonl", "--format", "xml"], "unknown history format 'xml'"),
        (["check", "valid.jsonl", "--model", "registr"], "unknown model 'registr'"),
        (["check", "valid.jsonl", "--consistency", "serialisable"], "did you mean 'serializable'"),
        (["check", "valid.jsonl", "--checker", "linear"], "unknown checker 'linear'"),
        (["check", "gone.jsonl"], "gone.jsonl: no such file"),
        (["check", "valid.jsonl", "--certificate", "no/such/c.json"], "cannot write no/such/c.json"),
        (["check", "valid.jsonl", "--certificate", "unread"], "cannot write unread"),
        (["check", "valid.jsonl", "--junit", "unread"], "cannot write unread"),
        (["check", "valid.jsonl", "--junit", "./valid.jsonl"], "--junit: valid.jsonl is what the command reads"),
        (["check", "valid.jsonl", "--certificate", "linked.jsonl"], "--certificate: linked.jsonl is what the command"),
        (["check", "run", "--junit", "run/history.jsonl"], "--junit: run/history.jsonl is what the command reads"),
        (["check", "run", "--certificate", "run/trace/n1.jsonl"], "is what the command reads"),
        (
            ["run", "mine.yaml", "--hosts", "sim", "--junit", "mine.yaml"],
            "--junit: mine.yaml is what the command reads",
        ),
        (["run", "--plan", "run/plan.json", "--junit", "run/plan.json"], "run/plan.json is what the command reads"),
        (["run", "mine.yaml", "--hosts", "inv.yaml", "--junit", "inv.yaml"], "--junit: inv.yaml is what the command"),
        (["shrink", "stale.jsonl", "--output", "./stale.jsonl"], "--output: stale.jsonl is what the command reads"),
        (["shrink", "linked.jsonl", "--output", "valid.jsonl"], "--output: valid.jsonl is what the command reads"),
        (["convert", "linked.jsonl", "valid.jsonl"], "TARGET: valid.jsonl is what the command reads"),
        (["run", "mine.yaml", "--junit", "inv.yaml"], "--junit: inv.yaml is not XML, and would be lost"),
        (["convert", "run", "run/verdict.json"], "TARGET: run/verdict.json is what the command reads"),
        (["convert", "run", "run/history.jsonl"], "TARGET: run/history.jsonl is what the command reads"),
        (["convert", "valid.jsonl", "run/history.jsonl"], "TARGET: run/history.jsonl is evidence of the run "),
        (["convert", "run/history.jsonl", "run/trace/n1.jsonl"], "TARGET: run/trace/n1.jsonl is evidence of the run "),
        (["check", "valid.jsonl", "--junit", "run/plan.json"], "--junit: run/plan.json is evidence of the run "),
        (["check", "valid.jsonl", "--certificate", "run/run.json"], "--certificate: run/run.json is evidence of the"),
        (["export", "run", "run/logs/n1.tar.gz"], "FILE: run/logs/n1.tar.gz is what the command reads"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_hint(
    folder: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    read = {path: path.read_bytes() for path in _made(folder) if path.is_file()}
    assert tri(*arguments) == 2
    said = capsys.readouterr().err
    assert words in said and "hint: " in said
    assert read == {path: path.read_bytes() for path in read}


def _made(folder: Path) -> list[Path]:
    """Everything below `folder`, with a run's folder, a campaign and a link to a history."""
    for name in ("run/trace", "run/logs"):
        Path(name).mkdir(parents=True)
    read = (
        *("run/history.jsonl", "run/trace/n1.jsonl", "run/plan.json"),
        *("run/logs/n1.tar.gz", "run/run.json", "run/verdict.json"),
    )
    for name in (*read, "mine.yaml", "inv.yaml"):
        Path(name).write_text("as it was\n")
    Path("linked.jsonl").symlink_to("valid.jsonl")
    return list(folder.rglob("*"))


def test_an_anomaly_is_reported_also_where_its_certificate_cannot_be_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tri("check", "stale.jsonl", "--certificate", "/dev/full") == 1
    said = capsys.readouterr()
    assert "invalid" in said.out and "warning: cannot write /dev/full: No space left on device" in said.err


@pytest.mark.parametrize("option", ["--certificate", "--junit"])
def test_a_pipe_gets_the_result_alone(folder: Path, option: str) -> None:
    reader = os.open("unread", os.O_RDONLY | os.O_NONBLOCK)
    assert tri("check", "valid.jsonl", option, "unread") == 0
    with os.fdopen(reader) as file:
        got = file.read()
    assert got.count("<?xml") == 1 if option == "--junit" else "linearizable" in json.loads(got)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('{"process":0,"type":"ok","f":"read","value":1}\n', "that it never invoked"),
        ('{"process":0,"type":"invoke","f":"read"}\n{"process":0,"type":"invoke","f":"read"}\n', "is open"),
        ('{"process":0,"type":"invoke","f":"read"}\n{"process":0,"type":"ok","f":"write"}\n', "but its open operation"),
        ('{"process":0,"type":"invoke","f":"read"}\nnonsense\n', "bad.jsonl:2: not an event"),
    ],
)
def test_a_history_that_makes_no_sense_is_refused_with_its_place(
    folder: Path, lines: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("bad.jsonl").write_text(lines)
    assert tri("check", "bad.jsonl") == 2
    said = capsys.readouterr().err
    assert words in said and "bad.jsonl" in said


def test_explain_shows_the_witness_among_its_neighbours(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_history("long.jsonl", parse(" ".join(f"p0 w{n}" for n in range(1, 31)) + " p1 r3").events)
    assert tri("check", "long.jsonl", "--explain") == 1
    said = capsys.readouterr().out
    marked = [line for line in said.splitlines() if line.startswith("▶")]
    assert any("read → 3" in line for line in marked)
    assert " more" in said and "write 17" not in said


def test_a_certificate_is_written_even_when_no_checker_gives_one(folder: Path) -> None:
    assert tri("check", "stale.jsonl", "--certificate", "c.json") == 1
    assert json.loads(Path("c.json").read_text()) == {}


def test_keys_in_values_are_found_by_themselves(folder: Path) -> None:
    Path("kv.edn").write_text(
        "{:process 0, :type :invoke, :f :write, :value [x 1]}\n{:process 0, :type :ok, :f :write, :value [x 1]}\n"
        "{:process 0, :type :invoke, :f :read, :value [y nil]}\n{:process 0, :type :ok, :f :read, :value [y 1]}\n"
    )
    assert tri("check", "kv.edn") == 1
    assert tri("check", "kv.edn", "--model", "kv") == 1


@pytest.mark.parametrize("command", ["check", "report"])
def test_a_damaged_run_is_refused_with_its_place(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", operations=100)
    RunFacts("invented", 7, "", nodes=(), voters={}).write(run)
    (run / "verdict.json").unlink()  # of a run that was judged the report shows the verdict
    history = run / "history.jsonl"
    lines = history.read_text().splitlines(keepends=True)
    history.write_text("".join([*lines[:4], '{"garbage\n', *lines[5:]]))
    assert tri(command, str(run)) == 2
    assert "history.jsonl:5: not an event" in capsys.readouterr().err


def test_one_checker_of_a_run_is_said_to_speak_for_itself_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", operations=200)
    RunFacts("invented", 7, "tri", nodes=["n1"], voters={"n1": 1}, phases={"end": 1}).sealed(run)
    capsys.readouterr()
    tri("check", str(run), "--checker", "linearizable")
    assert "of linearizable only: nothing else was checked" in " ".join(capsys.readouterr().out.split())
    tri("check", str(run), "--checker", "linearizable", "--json")
    assert json.loads(capsys.readouterr().out)["only"] == ["linearizable"]
    tri("check", str(run), "--json")
    assert "only" not in json.loads(capsys.readouterr().out)


def test_the_command_that_repeats_a_check_names_its_checkers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tri("check", "stale.jsonl", "--checker", "vacuity") == 0
    assert "repeat  tri check stale.jsonl --checker vacuity\n" in capsys.readouterr().out


def test_the_command_that_repeats_a_check_names_a_file_that_looks_like_an_option(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("-x.jsonl").write_bytes(Path("stale.jsonl").read_bytes())
    assert tri("check", "--", "-x.jsonl") == 1
    assert "repeat  tri check ./-x.jsonl\n" in capsys.readouterr().out


def test_a_history_in_which_every_operation_failed_is_unknown_unless_the_user_names_its_model(folder: Path) -> None:
    write_history("failed.jsonl", parse("p0 w1! p1 w2!").events)
    assert tri("check", "failed.jsonl") == 3
    assert tri("check", "failed.jsonl", "--checker", "linearizable") == 3
    assert tri("check", "failed.jsonl", "--model", "register") == 0

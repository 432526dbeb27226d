"""The run store: folders, links to the latest, and reading back what a killed run left."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from tribulation.histories import HistoryError, parse, write_history
from tribulation.histories.files.store import RunStore, load_run, read_traces


def test_a_run_gets_a_folder_and_both_links(tmp_path):
    store = RunStore(tmp_path / "runs")
    first = store.create("quickstart", now_s=1_700_000_000)
    assert first == tmp_path / "runs/quickstart/20231114T221320Z"
    assert store.latest() == store.latest("quickstart") == first.resolve()
    other = store.create("other", now_s=1_700_000_001)
    assert store.latest() == other.resolve()
    assert store.latest("quickstart") == first.resolve()
    assert store.runs() == [first, other]
    assert store.runs("quickstart") == [first]


def test_runs_of_one_second_do_not_share_a_folder(tmp_path):
    """Also when several create them at the same time; the links never dangle."""
    store = RunStore(tmp_path)
    made = []

    def create() -> None:
        made.append(store.create("c", now_s=0))
        assert store.latest("c").is_dir()

    threads = [threading.Thread(target=create) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 16
    assert len(store.runs("c")) == 16


def test_runs_are_listed_in_the_order_of_their_creation(tmp_path):
    store = RunStore(tmp_path)
    made = [store.create("c", now_s=0) for _ in range(12)] + [store.create("c", now_s=5)]
    assert store.runs("c") == made


@pytest.mark.parametrize("name", ["", "..", "latest", "a/b", "a b"])
def test_names_that_are_no_folder_are_refused(tmp_path, name):
    with pytest.raises(HistoryError, match="hint: "):
        RunStore(tmp_path).create(name)


def test_no_run_yet(tmp_path):
    with pytest.raises(HistoryError, match="tri run"):
        RunStore(tmp_path).latest()


def test_json_is_written_in_one_step(tmp_path):
    RunStore.write_json(tmp_path / "plan.json", {"seed": 7})
    assert json.loads((tmp_path / "plan.json").read_text()) == {"seed": 7}
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


def test_a_killed_run_is_loaded_as_far_as_it_got(tmp_path):
    """Torn tails everywhere are dropped and named; what was never written is None or empty."""
    write_history(tmp_path / "history.jsonl", parse("p0 w1"))
    with (tmp_path / "history.jsonl").open("ab") as file:
        file.write(b'{"index":2,')
    (tmp_path / "trace").mkdir()
    (tmp_path / "trace/n1.jsonl").write_text('{"event":"term","term":1}\n{"event":"vo')
    (tmp_path / "trace/n2.jsonl").write_text('{"event":"term","term":2}\n')
    pieces = load_run(tmp_path)
    assert len(pieces.history) == 2
    assert pieces.traces == {"n1": [{"event": "term", "term": 1}], "n2": [{"event": "term", "term": 2}]}
    assert pieces.torn == {"history.jsonl": '{"index":2,', "n1.jsonl": '{"event":"vo'}
    assert (pieces.ledger, pieces.campaign, pieces.plan, pieces.facts) == ((), None, None, None)


def test_a_damaged_trace_names_its_line(tmp_path):
    (tmp_path / "trace").mkdir()
    (tmp_path / "trace/n1.jsonl").write_text('{"event":"a"}\nnonsense\n{"event":"b"}\n')
    with pytest.raises(HistoryError, match=r"n1\.jsonl:2: not a JSON object"):
        read_traces(tmp_path)


LIFE = b'{"node":"n1","incarnation":%d,"seq":%d,"mono_ns":1,"event":"start"}'


@pytest.mark.parametrize("between", [b"", b"\n"], ids=["glued", "on-a-line-of-its-own"])
def test_a_line_that_a_killed_process_left_half_written_ends_its_life_only(tmp_path: Path, between: bytes) -> None:
    (tmp_path / "trace").mkdir()
    (tmp_path / "trace/n1.jsonl").write_bytes(
        LIFE % (1, 0) + b"\n" + b'{"node":"n1",' + between + LIFE % (2, 0) + b"\n"
    )
    torn: dict[str, str] = {}
    lines = read_traces(tmp_path, torn)["n1"]
    assert [(line["incarnation"], line["seq"]) for line in lines] == [(1, 0), (2, 0)]
    assert list(torn) == ["n1.jsonl:2"]


def test_a_damaged_line_within_a_life_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "trace").mkdir()
    (tmp_path / "trace/n1.jsonl").write_bytes(LIFE % (1, 0) + b'\n{"node":"n1",\n' + LIFE % (1, 2) + b"\n")
    with pytest.raises(HistoryError, match=r"n1\.jsonl:2: not a JSON object"):
        read_traces(tmp_path)


@pytest.mark.parametrize("name", ["plan.json", "run.json", "campaign.yaml"])
@pytest.mark.parametrize("made", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_a_pipe_among_the_files_is_refused(tmp_path: Path, name: str, made) -> None:
    (tmp_path / "history.jsonl").write_text("")
    made(tmp_path / name)
    with pytest.raises(HistoryError, match=f"{name}: it is "):
        load_run(tmp_path)

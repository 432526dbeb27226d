"""Recording, reading back, and what a crash leaves behind."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.histories import Event, HistoryError, Recorder, Type, parse, parse_history, read_history, write_history


def test_what_is_recorded_is_read_back(tmp_path):
    path = tmp_path / "history.jsonl"
    with Recorder(path) as recorder:
        recorder.record(10, 0, "invoke", "write", 5, key="k1", workload="register", level="linearizable", node="n2")
        recorder.record(20, 0, Type.OK, "write", 5, key="k1", node="n2", log_index=131)
        recorder.record(30, "nemesis", "info", "cut", {"edges": [["n1", "n2"]]})
    history = read_history(path)
    assert history.torn is None
    assert [event.index for event in history] == [0, 1, 2]
    assert history.events[1].extra == {"log_index": 131}
    assert history.events[2].value == {"edges": [["n1", "n2"]]}
    assert json.loads(path.read_text().splitlines()[0]) == {
        "index": 0,
        "time": 10,
        "process": 0,
        "type": "invoke",
        "f": "write",
        "value": 5,
        "key": "k1",
        "workload": "register",
        "level": "linearizable",
        "node": "n2",
    }


def test_each_event_is_in_the_file_before_record_returns(tmp_path):
    path = tmp_path / "history.jsonl"
    recorder = Recorder(path)
    for number in range(5):
        recorder.record(number, number, "invoke", "read")
        assert len(path.read_bytes().splitlines()) == number + 1
    recorder.close()
    with pytest.raises(ValueError, match="closed"):
        recorder.record(9, 9, "invoke", "read")


def test_a_second_recorder_does_not_continue_a_history(tmp_path):
    Recorder(tmp_path / "history.jsonl").close()
    with pytest.raises(FileExistsError):
        Recorder(tmp_path / "history.jsonl")


def test_many_threads_one_order(tmp_path):
    """Eight threads: every line whole, indices without a gap, and each thread's events in its own order."""
    path = tmp_path / "history.jsonl"
    with Recorder(path) as recorder:

        def client(process: int) -> None:
            for number in range(200):
                recorder.record(number, process, "invoke", "write", number)
                recorder.record(number, process, "ok", "write", number)

        threads = [threading.Thread(target=client, args=(process,)) for process in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    history = read_history(path)
    assert [event.index for event in history] == list(range(3200))
    for process in range(8):
        assert [event.value for event in history if event.process == process and event.type is Type.OK] == list(
            range(200)
        )


def test_a_killed_recorder_loses_at_most_the_last_line(tmp_path):
    """SIGKILL in the middle of recording: what the writer had been informed is written is there."""
    path = tmp_path / "history.jsonl"
    program = (
        "import sys\nfrom tribulation.histories import Recorder\nr = Recorder(sys.argv[1])\n"
        "for n in range(10**9):\n    r.record(n, n, 'invoke', 'write', n)\n    print(n, flush=True)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    listed = [int(writer.stdout.readline()) for _ in range(50)]
    os.kill(writer.pid, signal.SIGKILL)
    listed += [int(line) for line in writer.stdout if line.endswith("\n")]
    writer.wait()
    assert len(read_history(path)) >= len(listed)


def test_a_torn_last_line_is_tolerated_and_reported():
    whole = b'{"index":0,"time":1,"process":0,"type":"invoke","f":"read","value":null}\n'
    history = parse_history(whole + b'{"index":1,"time":2,"proc', "h.jsonl")
    assert len(history) == 1
    assert history.torn == '{"index":1,"time":2,"proc'


@pytest.mark.parametrize("tail", [gzip.compress(b'{"index":1}', mtime=0), b"PK\3\4\0\0", b"7\0\0"])
def test_a_last_line_that_no_crash_can_leave_is_refused_though_it_has_zeros(tail: bytes):
    with pytest.raises(HistoryError, match=r"h\.jsonl:2: not an event"):
        parse_history(b'{"index":0,"time":1,"process":0,"type":"invoke","f":"read","value":null}\n' + tail, "h.jsonl")


def test_a_last_line_that_lacks_only_its_newline_counts():
    line = b'{"index":0,"time":1,"process":0,"type":"invoke","f":"read","value":null}'
    history = parse_history(line, "h.jsonl")
    assert (len(history), history.torn) == (1, None)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"index":0,"time"', "truncated"),
        (b"[1, 2]", "expected an object, found list"),
        (b'{"index":0,"time":1,"process":0,"type":"maybe","f":"read"}', "type is 'maybe'"),
        (b'{"index":0,"time":1,"process":0,"type":"ok"}', "without 'f'"),
        (b'{"index":"a","time":1,"process":0,"type":"ok","f":"read"}', "index is 'a', not an integer"),
        (b'{"index":0,"time":1.5,"process":0,"type":"ok","f":"read"}', "time is 1.5, not an integer"),
    ],
)
def test_any_other_malformed_line_is_an_error_with_file_line_and_text(tmp_path, line, reason):
    path = tmp_path / "history.jsonl"
    good = b'{"index":7,"time":1,"process":0,"type":"invoke","f":"read","value":null}\n'
    path.write_bytes(good + line + b"\n" + good)
    with pytest.raises(HistoryError) as caught:
        read_history(path)
    assert f"{path}:2: not an event: " in str(caught.value)
    assert reason in str(caught.value)
    assert line.decode() in str(caught.value)
    assert "hint: " in str(caught.value)


def test_a_missing_file_names_itself(tmp_path):
    with pytest.raises(HistoryError, match=r"none\.jsonl"):
        read_history(tmp_path / "none.jsonl")


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.tuples(values, values, st.sampled_from(list(Type)), st.none() | st.text()), max_size=8))
def test_any_history_survives_writing_and_reading(tmp_path_factory, found):
    events = [
        Event(index, index, index, kind, "write", value, key=key, error=error, extra={"term": index})
        for index, (value, key, kind, error) in enumerate(found)
    ]
    path = tmp_path_factory.mktemp("h") / "history.jsonl"
    write_history(path, events)
    assert list(read_history(path).events) == events


@given(st.data())
def test_a_history_cut_anywhere_reads_as_a_prefix(tmp_path_factory, data):
    """Wherever a crash cuts the file, what is read is a prefix of what was written."""
    history = parse("p0 w1 | p1 r1 p2[c1>2 p2]? p3 a5 p4 s5,6")
    path = tmp_path_factory.mktemp("h") / "history.jsonl"
    write_history(path, history)
    content = path.read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    read = parse_history(content[:cut], "cut")
    assert list(read.events) == list(history.events[: len(read)])
    assert len(read) >= content[:cut].count(b"\n")

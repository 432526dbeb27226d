"""Readers of other projects' formats, on small texts; the checker tests read whole files."""

from __future__ import annotations

import pytest

from tribulation.histories import HistoryError, Type
from tribulation.histories.formats import read_edn_history, read_jepsen_log
from tribulation.histories.formats.edn import parse_edn


def test_edn_values():
    text = '; a comment\n{:a 1, :b [nil true -2.5 "x\\n\\"y\\""] :c #{1} #inst "2020" (+3N :k)}'
    assert list(parse_edn(text)) == [{"a": 1, "b": [None, True, -2.5, 'x\n"y"'], "c": frozenset({1}), "2020": [3, "k"]}]


@pytest.mark.parametrize("text", ["[1 2", "]", "[1}", '"open'])
def test_broken_edn_names_its_line(text):
    with pytest.raises(HistoryError, match=r"e\.edn:2: "):
        list(parse_edn("\n" + text, "e.edn"))


@pytest.mark.parametrize(
    "text",
    [
        "[{:process 0 :type :invoke :f :read :value nil}\n {:process 0 :type :ok :f :read :value 3}]",
        "{:process 0, :type :invoke, :f :read, :value nil}\n{:process 0, :type :ok, :f :read, :value 3}\n",
    ],
)
def test_edn_histories_as_a_vector_and_as_lines(tmp_path, text):
    path = tmp_path / "h.edn"
    path.write_text(text)
    (op,) = read_edn_history(path).operations()
    assert (op.f, op.result, op.type) == ("read", 3, Type.OK)


def test_jepsen_log(tmp_path):
    path = tmp_path / "h.log"
    path.write_text(
        "INFO  jepsen.core - Worker 0 starting\n"
        "INFO  jepsen.util - 0\t:invoke\t:cas\t[1 2]\nINFO  jepsen.util - 0\t:fail\t:cas\t[1 2]\n"
        'INFO  jepsen.util - :nemesis\t:info\t:start\t"cut"\n'
        "INFO  jepsen.util - 1\t:invoke\t:read\tnil\nINFO  jepsen.util - 1\t:fail\t:read\t:timed-out\n"
        "INFO  jepsen.util - 2\t:invoke\t:write\t3\nINFO  jepsen.util - 2\t:info\t:write\t:timed-out\n"
    )
    cas, read, write = read_jepsen_log(path).operations()
    assert (cas.type, cas.error, cas.argument) == (Type.FAIL, "mismatch", [1, 2])
    assert (read.type, read.error) == (Type.FAIL, "timed-out")
    assert (write.type, write.argument) == (Type.INFO, 3)

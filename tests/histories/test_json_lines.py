"""`read_json_lines` decodes ordinary files in bulk: what it reads is what the same lines give one by one."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given
from hypothesis import strategies as st

from tribulation.histories import HistoryError
from tribulation.histories.files import store
from tribulation.histories.model.bounds import DEPTH, INTEGER_DIGITS, any_may_exceed, may_exceed

DEEP = b'{"a":' + b"[" * (DEPTH + 8) + b"]" * (DEPTH + 8) + b"}"
LONG = b'{"a":' + b"7" * (INTEGER_DIGITS + 1) + b"}"
LINES = st.sampled_from(
    [b'{"node":"n1","seq":0}', b'{"a":[1,{"b":null}]}', b"{}", b"", b"  ", b"[1]", b"{", b'{"a":"\xff"}', b'{"a":1}\r', b'{"a":', b"1}", b"{} {}", LONG, DEEP]
)  # fmt: skip


@given(st.lists(LINES, max_size=8), st.booleans())
@example([b'{"a":1}', LONG], True)
@example([b'{"a":', b"1}", b"{} {}"], True)
@example([b'{"a":1}', DEEP, b"{}"], True)
def test_in_bulk_as_one_by_one(lines, ends):
    content = b"\n".join(lines) + (b"\n" if ends else b"")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "n1.jsonl"
        path.write_bytes(content)
        assert _read(path) == _read(path, one_by_one=True)


def _read(path: Path, one_by_one: bool = False):
    bulk = store._decoded
    if one_by_one:
        store._decoded = lambda content: None
    try:
        torn = {}
        return store.read_json_lines(path, torn, of_lives=True), torn
    except HistoryError as error:
        return error.message
    finally:
        store._decoded = bulk


@given(st.lists(LINES, min_size=1, max_size=6))
def test_a_block_may_exceed_a_bound_where_one_of_its_lines_may(lines):
    if any(map(may_exceed, lines)):
        assert any_may_exceed(b"".join(line + b"\n" for line in lines))

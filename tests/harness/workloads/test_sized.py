"""Large values: as many bytes as asked, one text for each number, and nothing but that text is the number again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tribulation.checkers import RunRecord, Verdict, check
from tribulation.harness.systems.base import Op, Outcome
from tribulation.harness.systems.reference.client import micro_operations
from tribulation.harness.workloads.register import SEEN, RegisterSpec
from tribulation.harness.workloads.sized import LARGEST_BYTES, SMALLEST_BYTES, Sizes, text_of
from tribulation.histories import History, MemoryRecorder
from tribulation.node.core.clients.request import parse

numbers, sizes = st.integers(0, 10**12), st.integers(SMALLEST_BYTES, 2000)


def read_back(text: Any, size: int) -> Any:
    return Sizes({"register": size}).shrunk("register", Outcome("ok", text)).value


@given(numbers, sizes)
def test_a_number_comes_back_from_as_many_bytes_as_asked(number: int, size: int) -> None:
    grown = Sizes({"register": size}).grown(Op("write", "k", number, workload="register")).value
    assert len(grown.encode()) == size and read_back(grown, size) == number


@given(numbers, sizes, st.data())
def test_one_wrong_byte_or_one_too_few_is_a_value_that_nobody_wrote(
    number: int, size: int, data: st.DataObject
) -> None:
    text = text_of(number, size)
    at = data.draw(st.integers(0, size - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda character: character != text[at]))
    for damaged in (text[:at] + other + text[at + 1 :], text[:at], text + other):
        assert isinstance(read_back(damaged, size), str), damaged[:40]


@given(numbers, numbers, st.integers(1, 1999))
def test_of_two_values_no_mixture_passes(first: int, second: int, at: int) -> None:
    one, other = text_of(first, 2000), text_of(second, 2000)
    mixed = one[:at] + other[at:]
    assert mixed in (one, other) or isinstance(read_back(mixed, 2000), str)


def test_what_is_no_value_of_ours_stays_and_others_workloads_too() -> None:
    large = Sizes({"register": 100})
    assert large.grown(Op("read", "k", None, workload="register")).value is None
    assert large.grown(Op("cas", "k", [None, 1], workload="register")).value == [None, text_of(1, 100)]
    assert large.grown(Op("add", "k", 1, workload="set")).value == 1
    mismatch = Outcome(
        "fail", [text_of(1, 100), text_of(2, 100)], "mismatch", {"observed": [text_of(3, 100)], "log_index": 7}
    )
    reported = large.shrunk("register", mismatch)
    assert reported.value == [1, 2] and reported.extra == {"observed": [3], "log_index": 7}


@pytest.mark.parametrize("mix", [{"read": 1, "write": 1}, {"write": 1, "cas": 1}])
def test_the_largest_values_are_what_the_node_takes(mix: dict[str, int]) -> None:
    most = LARGEST_BYTES // (2 if "cas" in mix else 1)
    RegisterSpec.model_validate({"mix": mix, "value_bytes": f"{most}B"})
    with pytest.raises(ValidationError, match="is more than a command takes"):
        RegisterSpec.model_validate({"mix": mix, "value_bytes": f"{most + 1}B"})
    large = Sizes({"register": most})
    value = [5, 6] if "cas" in mix else 5
    op = large.grown(Op("cas" if "cas" in mix else "write", "register-9999", value, workload="register"))
    assert parse({"id": 1, "session": 1, "seq": 1, "ops": micro_operations(op)}).ops


def test_a_few_bytes_are_refused_and_sizes_are_written_back_as_they_were() -> None:
    with pytest.raises(ValidationError, match="distinguishes two values"):
        RegisterSpec.model_validate({"value_bytes": "8B"})
    spec = RegisterSpec.model_validate({"value_bytes": "32KiB"})
    assert spec.model_dump(mode="json")["value_bytes"] == "32KiB"
    assert RegisterSpec.model_validate(spec.model_dump(mode="json")) == spec and SEEN not in str(spec)


@pytest.mark.parametrize(("seen", "verdict"), [(1, Verdict.VALID), ("<63 bytes: 00>", Verdict.INVALID)])
def test_a_damaged_value_is_an_anomaly(seen: Any, verdict: Verdict) -> None:
    recorder = MemoryRecorder()
    for event, f, value in (("invoke", "write", 1), ("ok", "write", 1), ("invoke", "read", None), ("ok", "read", seen)):
        recorder.record(len(recorder.events), 0, event, f, value, key="k", workload="register", level="linearizable")
    result = check(RunRecord(history=History(recorder.events)), ["linearizable"])["linearizable"]
    assert result.verdict is verdict


@pytest.mark.parametrize(
    "found", ["9" * 5000, "9" * 5000 + ".x", "1" * 100 + ".x", "\ud800.x", "07." + "0" * 97, "-1." + "0" * 97, "7"]
)
def test_whatever_a_system_sends_is_a_value_or_none(found: str) -> None:
    """What raised became an operation of which nothing is known: a read of a value that was never written was lost to the checkers."""
    assert str(read_back(found, 100)).startswith("<")
    assert read_back([found], 100) == [read_back(found, 100)]


def test_lists_in_each_other_need_no_recursion() -> None:
    nested: Any = text_of(1, 100)
    for _ in range(500):
        nested = [nested]
    assert read_back(nested, 100) == nested
    assert read_back([["r", "k", [text_of(1, 100)]]], 100)[0][2] == [1]

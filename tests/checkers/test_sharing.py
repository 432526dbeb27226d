"""What checkers of one call share: known of that record, under that name, until the call is over."""

from __future__ import annotations

from tribulation.checkers import RunRecord
from tribulation.checkers.base.sharing import keep, known, sharing
from tribulation.histories import History


def test_what_is_kept_is_known_of_that_record_until_the_end() -> None:
    mine, other = RunRecord(History([])), RunRecord(History([]))
    keep(mine, "survey", 1)
    assert known(mine, "survey") is None, "nothing is shared"
    with sharing():
        keep(mine, "survey", 2)
        assert known(mine, "survey") == 2
        assert known(mine, "epochs") is None
        assert known(other, "survey") is None, "an equal record is another one"
        with sharing():
            assert known(mine, "survey") is None
        assert known(mine, "survey") == 2
    assert known(mine, "survey") is None

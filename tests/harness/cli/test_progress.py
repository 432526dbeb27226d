"""Progress of long work: a live view on a terminal, short plain lines elsewhere."""

from __future__ import annotations

import io

import pytest

from tribulation.harness.cli import console


@pytest.mark.parametrize("terminal", [True, False])
def test_further_lines_are_for_a_terminal_only(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    text = io.StringIO()
    monkeypatch.setattr(console, "err", console._Console(file=text, force_terminal=terminal, width=60))
    with console.Progress() as progress:
        progress.show("load", "3 of 20 s\nn1  ok 5 " + "x" * 200)
    shown = text.getvalue()
    assert "3 of 20 s" in shown
    assert ("n1  ok 5" in shown) == terminal
    assert "x" * 61 not in shown

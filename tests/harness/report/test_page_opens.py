"""The page opened by the system's Chromium alone: its script runs to its end and reports no error.

`make test` runs this where Chromium is installed: it needs no package and some two seconds. `test_page_in_browser.py`, which `make page`
runs, operates the page by Playwright, which is fetched (40 MB), and takes a minute.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tribulation.harness.report import write_report

from .folders import write_run

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")


def opened(page: Path, profile: Path) -> tuple[str, list[str]]:
    """The page's elements after its script has run, and the lines that Chromium's console received."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--enable-logging=stderr"]
    command = [str(CHROMIUM), *options, "--virtual-time-budget=2000", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_the_script_of_the_page_runs_to_its_end_without_an_error(tmp_path: Path) -> None:
    elements, console = opened(write_report(write_run(tmp_path / "run")), tmp_path / "profile")
    assert console == []
    assert 'data-drawn="yes"' in elements
    assert '<option value="n5">n5</option>' in elements and "0.000 s to 20.000 s of 20.000 s" in elements


def test_an_error_in_the_script_would_be_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<html><body><script>document.body.append('first'); missing();</script></body></html>")
    elements, console = opened(page, tmp_path / "profile")
    assert "first" in elements and len(console) == 1 and "missing is not defined" in console[0]

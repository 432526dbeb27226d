"""The documentation site is built without a warning, and its generated pages are current."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PAGES = runpy.run_path(str(ROOT / "scripts/make_reference.py"))["pages"]()


def _build(folder: Path, config: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(config), "-d", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )


def test_the_site_has_no_broken_link_or_anchor(tmp_path: Path) -> None:
    done = _build(tmp_path, ROOT / "mkdocs.yml")
    assert done.returncode == 0, done.stderr
    home = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "get-started.html" in home
    loaded = re.findall(r'(?:<script[^>]+src|<link[^>]+stylesheet[^>]+href)="(https?:[^"]+)"', home)
    assert loaded == [], "the site loads something from the network"


def test_a_broken_anchor_is_an_error(tmp_path: Path) -> None:
    """The build is what checks anchors; it does."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text("[here](#nowhere)\n", encoding="utf-8")
    config = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader=_Loose)
    kept = {"site_name": "x", "docs_dir": "docs", "validation": config["validation"]}
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(kept), encoding="utf-8")
    done = _build(tmp_path / "site", tmp_path / "mkdocs.yml")
    assert done.returncode != 0 and "nowhere" in done.stdout + done.stderr


class _Loose(yaml.SafeLoader):
    """Reads tags of Python objects as nothing."""


_Loose.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_current(name: str) -> None:
    assert (ROOT / "docs/reference/fields" / name).read_text(encoding="utf-8") == PAGES[name], "hint: make map"

"""Real databases take minutes and packages: they are tried by `make systems-test`, not with every run of the tests."""

from __future__ import annotations

import os

from tests.integration.conftest import labs, namespaces, tri  # noqa: F401  (fixtures)

collect_ignore_glob = [] if os.environ.get("TRI_SYSTEMS") else ["test_*.py"]

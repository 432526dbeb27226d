"""What these tests share with those of hosts."""

from __future__ import annotations

from tests.harness.hosts.conftest import namespaces as namespaces

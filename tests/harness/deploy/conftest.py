"""Deployments are tried on local hosts: real namespaces with a real sshd in each."""

from __future__ import annotations

from tests.harness.hosts.conftest import lab as lab
from tests.harness.hosts.conftest import namespaces as namespaces

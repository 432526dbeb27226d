"""What an adapter of another system is written with; docs/guides/own-system.md shows a whole one.

from tribulation.testing import Daemon, DriverClient, Op, Outcome
"""

from .harness.errors import DeployError
from .harness.hosts.base import Host
from .harness.systems.adapter.daemon import Daemon, listens
from .harness.systems.adapter.driver import DriverClient
from .harness.systems.base import Client, Dial, Op, Outcome, Service

__all__ = ["Client", "Daemon", "DeployError", "Dial", "DriverClient", "Host", "Op", "Outcome", "Service", "listens"]

"""The zoo: every flaw by name, with what it breaks, where it was seen, and the checker that must report it.

`switch.py` holds the switches. `docs/reference/flaws.md` has the same text in the same order, and a test compares the two.
"""

from __future__ import annotations

from .zoo_clients import CLIENTS_FLAWS
from .zoo_cluster import CLUSTER_FLAWS
from .zoo_disks import DISKS_FLAWS
from .zoo_log import LOG_FLAWS
from .zoo_rare import RARE_FLAWS
from .zoo_roles import ROLES_FLAWS
from .zoo_service import SERVICE_FLAWS

ZOO = (*LOG_FLAWS, *CLUSTER_FLAWS, *SERVICE_FLAWS, *RARE_FLAWS, *ROLES_FLAWS, *DISKS_FLAWS, *CLIENTS_FLAWS)

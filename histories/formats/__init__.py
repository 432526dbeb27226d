"""Readers of other projects' history formats. Each gives a `History`; what a missing value means there is theirs to say."""

from .edn import read_edn_history
from .jepsen_log import read_jepsen_log

__all__ = ["read_edn_history", "read_jepsen_log"]

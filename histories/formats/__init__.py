"""Formats of other projects' histories, read and written. What a missing value means there is theirs to say."""

from .edn import read_edn_history
from .jepsen_log import read_jepsen_log
from .registry import FORMATS, detect, read, write

__all__ = ["FORMATS", "detect", "read", "read_edn_history", "read_jepsen_log", "write"]

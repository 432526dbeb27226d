"""History formats of other projects, read and written. Each format defines the meaning of a missing value."""

from .edn import read_edn_history
from .jepsen_log import read_jepsen_log
from .registry import FORMATS, detect, read, write

__all__ = ["FORMATS", "detect", "read", "read_edn_history", "read_jepsen_log", "write"]

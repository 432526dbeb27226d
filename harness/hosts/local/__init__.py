"""Local hosts: namespaces on this machine, owned by a detached supervisor."""

from .provider import LocalProvider
from .state import Lab, list_labs

__all__ = ["Lab", "LocalProvider", "list_labs"]

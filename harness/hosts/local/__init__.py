"""Local hosts: namespaces on this machine, owned by a detached supervisor."""

from .layout.state import Lab, list_labs
from .provider import LocalProvider

__all__ = ["Lab", "LocalProvider", "list_labs"]

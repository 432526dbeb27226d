"""Machines with kernels of their own on this machine, by QEMU: see `provider.py`, and docs/reference/hosts.md."""

from .provider import QemuProvider, list_machine_labs

__all__ = ["QemuProvider", "list_machine_labs"]

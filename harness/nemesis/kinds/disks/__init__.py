"""Kinds that harm disks."""

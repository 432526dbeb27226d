"""Kinds that limit a resource of a process."""

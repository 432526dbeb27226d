"""Faults of membership and of voters."""

"""Clients of a system as processes of their own, so that a fault can pause or kill one in the middle of an operation."""

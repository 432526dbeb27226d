"""Requests to the agents on hosts."""

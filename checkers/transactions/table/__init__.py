"""Transactions as arrays: accesses, versions, and names of isolation levels."""

"""Faults: what they are, whom they target, what triggers them, the ledger of what they did."""

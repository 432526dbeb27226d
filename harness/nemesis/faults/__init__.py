"""Faults: their definition, targets and triggers, and the ledger of what they did."""

"""Commands that list and show what a user can choose: campaigns, faults, workloads, checkers, flaws; and the JSON Schemas."""

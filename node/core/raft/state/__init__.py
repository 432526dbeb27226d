"""State of a Raft participant: its own fields, the configurations, a leader's view of each other node, and the invariants."""

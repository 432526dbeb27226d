"""State of a Raft participant: its own, the configurations, what a leader knows of each other node, and the invariants."""

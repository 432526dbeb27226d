"""What a Raft participant knows: its state, the configurations, what a leader knows of each other node, and what must always hold of it."""

"""State that the agent keeps on disk: the desired state, and which faults it has applied."""

"""Records that the replicated state and the machines of a node share."""

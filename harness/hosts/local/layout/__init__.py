"""What a local cluster of hosts is made of, and its state on disk."""

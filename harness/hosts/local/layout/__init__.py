"""Parts of a local cluster of hosts, and its state on disk."""

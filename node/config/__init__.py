"""The configuration of a node and of its cluster."""

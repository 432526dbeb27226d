"""Members of the cluster: joining, leaving, balancing, probing."""

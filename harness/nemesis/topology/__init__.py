"""Who can talk to whom: shapes of partitions, and which faults mask others."""

"""Connectivity faults: shapes of partitions, and which faults mask others."""

"""Workloads that show an isolation anomaly: bank, long fork, causal reverse, write skew."""

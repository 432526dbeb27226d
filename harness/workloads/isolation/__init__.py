"""Workloads that show which anomalies of transactions a system allows."""

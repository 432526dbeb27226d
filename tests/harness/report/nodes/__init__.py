"""Tests of what the report reads of nodes: traces, logs and their states."""

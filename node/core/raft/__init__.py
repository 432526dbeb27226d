"""Raft: functions over the state in `state/`, one idea each, and the machine in `raft.py` that calls them."""

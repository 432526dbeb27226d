"""The cluster of members, agents and tasks, seen from outside: its acceptance scenarios, its demonstration, and its table of nodes."""

"""The cluster of members, agents and tasks, seen from outside: the scenarios that it must pass, its demonstration, and its table of nodes."""

"""Members, agents, tasks and fencing tokens of the reference cluster."""

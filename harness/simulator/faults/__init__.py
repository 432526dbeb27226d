"""The simulator's faults, a module a family: each injects, lets something else look at the result, and undoes."""

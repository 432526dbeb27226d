"""The simulator's faults, one module for each family: each injects, has the result observed, and undoes."""

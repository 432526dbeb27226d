"""The simulator's faults, one module for each family: each injects a fault, lets probes verify it, and undoes it."""

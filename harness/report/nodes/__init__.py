"""Reports of the nodes about themselves: lines of traces and logs on the run's time, and the state of each node over time."""

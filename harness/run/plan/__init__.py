"""Plans of runs, and how they are made from campaigns."""

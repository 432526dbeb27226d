"""Where a process gets its wall clock from, and whether a wrong one reaches it."""

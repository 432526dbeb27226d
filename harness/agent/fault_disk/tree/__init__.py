"""The tree of files of a fault disk, and what a power loss leaves of it."""

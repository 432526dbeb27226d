"""The log: in memory, in the write-ahead log, in snapshots, and its recovery."""

"""Storage of the Raft log: in memory, in the write-ahead log and in snapshots; and its recovery."""

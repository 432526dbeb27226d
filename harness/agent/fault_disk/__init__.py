"""A disk that can be broken: a file system over a directory, whose daemon on request loses what was not synced, fails, stalls or lies.

It is mounted over the very directory that it serves, so that unmounting leaves the data where they belong. What is synced goes into that
directory at once; what is not stays in the daemon's memory (`tree`), and a host that loses power, or a `crash` that is asked for, loses
what the model of its disk takes (`strict`, `journaled`). What is wrong with the device at the moment is its `trouble`; damage to what is at rest is `decay`.

    protocol     the kernel's messages as Python values: /dev/fuse is spoken directly, so that a host needs nothing but Python and a kernel with FUSE
    nodes        files and directories, each with what is durable and what is pending
    backing      the directory beneath, where what is durable is
    tree         operations on them, and what a sync or a crash makes of them
    strict, journaled   when names are durable, and what a power loss leaves
    tearing      what a power loss leaves of writes that were not synced
    losses       what it took, for the ledger
    trouble      which operation fails, waits or hangs
    operations   the kernel's requests as operations of the tree
    decay        bits that flip, tails that are cut, old files that come back
    control      the socket by which agent and harness ask
    daemon       mounts, serves, unmounts

Standard library only, Python 3.10.
"""

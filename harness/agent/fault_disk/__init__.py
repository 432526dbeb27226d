"""A disk that can be broken: a file system over a directory, whose daemon on request loses unsynced writes, fails, stalls or lies.

It is mounted over the very directory that it serves, so that after an unmount the data are in their place. Synced data go into that
directory at once; unsynced data stay in the daemon's memory (`tree`), and a host that loses power, or a requested `crash`, loses
the part that the model of its disk says (`strict`, `journaled`). The current errors of the device are its `trouble`; damage to stored data is `decay`.

    protocol     the kernel's messages as Python values: /dev/fuse is spoken directly, so that a host needs nothing but Python and a kernel with FUSE
    nodes        files and directories, each with its durable and its pending state
    backing      the directory beneath, with the durable data
    tree         operations on them, and the effects of a sync or a crash
    strict, journaled   when names are durable, and what a power loss leaves
    tearing      what a power loss leaves of writes that were not synced
    losses       the data lost in a power loss, for the ledger
    trouble      which operation fails, waits or hangs
    operations   the kernel's requests as operations of the tree
    decay        bits that flip, tails that are cut, old files that come back
    control      the socket for requests of the agent
    mount        mounting and unmounting by system calls
    daemon       mounts, serves, unmounts
    probe        a process that uses the disk, to observe it

Standard library only, Python 3.10.
"""

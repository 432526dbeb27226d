"""What a reader must know of another process's past: the innermost loop of monotonic writes and of writes that follow reads."""

from __future__ import annotations

import numpy as np

from ..table.table import Int64


def known_through_reading(
    read_process: Int64,
    read_key: Int64,
    read_source_process: Int64,
    read_source_place: Int64,
    lists_of: Int64,
    list_begin: Int64,
    list_process: Int64,
    entry_place: Int64,
    processes: int,
) -> tuple[Int64, Int64, Int64]:
    """For each read, by process and program order: the last entry of the key in every process that the reader had read from, before what it read.

    The entries of key k are lists `lists_of[k] .. lists_of[k+1]`, one per process; list l holds places `entry_place[list_begin[l]:list_begin[l+1]]`,
    growing. A read came from transaction `read_source_place` of `read_source_process` (-1: from the initial state, or from its own process). Returns
    (read, entry, the read by which it was known); equal neighbours are returned once.
    """
    room = 1024
    reads, entries, through = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    used = 0
    reach = np.full(processes, -1, np.int64)
    by = np.full(processes, -1, np.int64)
    touched = np.empty(processes, np.int64)
    count = 0
    told = np.full(len(list_process), -1, np.int64)
    for read in range(len(read_process)):
        if read and read_process[read] != read_process[read - 1]:
            for place in range(count):
                reach[touched[place]] = -1
            count = 0
        key = read_key[read]
        for which in range(lists_of[key], lists_of[key + 1]):
            limit = reach[list_process[which]]
            if limit < 0:
                continue
            left, right = list_begin[which], list_begin[which + 1]
            first = left
            while left < right:
                middle = (left + right) // 2
                if entry_place[middle] < limit:
                    left = middle + 1
                else:
                    right = middle
            if left == first:
                continue
            before = told[which]
            if before >= 0 and entries[before] == left - 1:
                same = reads[before]
                one_source = (
                    read_source_process[same] == read_source_process[read]
                    and read_source_place[same] == read_source_place[read]
                    and read_source_process[read] >= 0
                )
                if one_source and read_process[same] == read_process[read] and read_key[same] == key:
                    continue
            if used == room:
                room *= 2
                wider = np.empty(room, np.int64)
                wider[:used] = reads
                reads = wider
                wider = np.empty(room, np.int64)
                wider[:used] = entries
                entries = wider
                wider = np.empty(room, np.int64)
                wider[:used] = through
                through = wider
            reads[used], entries[used], through[used] = read, left - 1, by[list_process[which]]
            told[which] = used
            used += 1
        source = read_source_process[read]
        if source >= 0 and read_source_place[read] > reach[source]:
            if reach[source] < 0:
                touched[count] = source
                count += 1
            reach[source] = read_source_place[read]
            by[source] = read
    return reads[:used], entries[:used], through[:used]

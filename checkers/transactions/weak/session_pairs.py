"""Knowledge that a reader must have of another process's past: the innermost loop of monotonic writes and of writes that follow reads."""

from __future__ import annotations

import numpy as np

from ...linearizability.compiled import first_from
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
    """Return for each read the last entry of its key in every process that the reader had read from, up to what it had read there.

    Reads are sorted by process and program order. The entries of key k are lists `lists_of[k] .. lists_of[k+1]`, one per process; list l holds places
    `entry_place[list_begin[l]:list_begin[l+1]]`, growing. A read came from transaction `read_source_place` of `read_source_process` (-1: from the
    initial state, or from its own process). The result is (read, entry, the read by which it was known); equal neighbours are returned once.
    """
    found = np.empty((3, 1024), np.int64)
    used = 0
    reach, by = np.full(processes, -1, np.int64), np.full(processes, -1, np.int64)
    touched = np.empty(processes, np.int64)
    count = 0
    noted = np.full(len(list_process), -1, np.int64)
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
            first = list_begin[which]
            entry = first_from(entry_place, first, list_begin[which + 1], limit) - 1
            if entry < first:
                continue
            before = noted[which]
            if before >= 0 and found[1, before] == entry:
                same = found[0, before]
                one_reader = read_process[same] == read_process[read] and read_key[same] == key
                one_process = read_source_process[same] == read_source_process[read] >= 0
                if one_reader and one_process and read_source_place[same] == read_source_place[read]:
                    continue
            if used == found.shape[1]:
                wider = np.empty((3, 2 * used), np.int64)
                wider[:, :used] = found
                found = wider
            found[0, used], found[1, used], found[2, used] = read, entry, by[list_process[which]]
            noted[which] = used
            used += 1
        source = read_source_process[read]
        if source >= 0 and read_source_place[read] > reach[source]:
            if reach[source] < 0:
                touched[count] = source
                count += 1
            reach[source] = read_source_place[read]
            by[source] = read
    return found[0, :used], found[1, :used], found[2, :used]

"""A leader contradicts an entry that this node holds for committed.

In a correct cluster that cannot be (leader completeness), so a correct node stops: its state is not to be trusted. A node with planted flaws
gets there as a matter of course; it forgets what it applied and goes on, so that the checkers find what clients saw.
"""

from __future__ import annotations

from ..interface.signals import Restore
from .state import RaftState


def contradicted(s: RaftState, index: int, term: int) -> None:
    floor = s.snapshot.index if s.snapshot is not None else 0
    if not s.flaws.any or index <= floor:
        s.out.halt(
            f"the leader {s.leader} of term {s.term} sent another entry at index {index} (term {term}) than the committed one "
            f"(term {s.log.term(index)})\nhint: keep this data directory for inspection; then empty it and start the node again"
        )
        return
    s.commit = floor
    s.out.emit(Restore(floor, s.snapshot.data if s.snapshot is not None else None))

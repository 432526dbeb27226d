"""Membership change through the log: one voter's weight by 1 per entry, one such entry at a time.

A leader begins only after it committed an entry of its own term. Otherwise two leaders could each make a change unknown to the other (the bug in
single-server changes found in 2015). `step_towards` picks the next entry.
"""

from __future__ import annotations

from ..interface.entry import CONFIG, Entry, make_entry
from ..interface.messages import TimeoutNow
from ..interface.signals import AdminDone, RosterChanged, SetVoters
from .roles import become_follower
from .state.configuration import step_towards
from .state.progress import Progress
from .state.state import RaftState


def on_roster(s: RaftState, request: RosterChanged) -> None:
    """Change the nodes that receive the log. Voters always receive it: the roster carries no weights."""
    s.others = [name for name in dict.fromkeys((*request.names, *s.voters)) if name != s.me]
    if s.leading:
        kept = dict.fromkeys(s.others)
        s.progress = {name: s.progress.get(name) or Progress(s.log.last_index + 1) for name in kept}


def begin_walk(s: RaftState, request: SetVoters) -> None:
    if not s.leading:
        s.out.emit(AdminDone(request.token, s.commit, "leader-changed", "this node no longer leads"))
        return
    if s.flaws.change_acknowledged_unchanged:
        s.out.emit(AdminDone(request.token, s.commit))
        return
    if s.target is not None:
        s.out.emit(AdminDone(s.target[0], s.commit, "superseded", "other weights were asked for meanwhile"))
    s.target = (request.token, {name: weight for name, weight in request.voters.items() if weight > 0})
    walk(s)


def walk(s: RaftState) -> None:
    """Propose the next step towards the wanted weights, once the last one is committed."""
    knows = s.commit >= s.noop_index or s.flaws.second_change_before_own_term_commit
    settled = knows and (s.configs[-1][0] <= s.commit or s.flaws.changes_of_voters_overlap)
    if s.target is None or not s.leading or s.handover is not None or not settled:
        return
    token, target = s.target
    following = step_towards(s.configs[-1][1], target)
    if following is not None and s.flaws.weights_jump:
        following = dict(target)
    if following is None:
        s.target = None
        s.out.emit(AdminDone(token, s.commit))
        return
    s.append([make_entry(s.log.last_index + 1, s.term, [CONFIG, following])])
    if s.flaws.change_acknowledged_uncommitted and step_towards(following, target) is None:
        s.target = None
        s.out.emit(AdminDone(token, s.log.last_index))


def on_committed(s: RaftState, now_ns: int, entry: Entry) -> None:
    """Hand over and step down, once the removal of this leader from the voters is committed (Raft thesis, 4.2.2)."""
    if not s.leading:
        return
    if s.configs[-1][0] == entry.index and s.voters.get(s.me, 0) == 0:
        successor = max(s.voters, key=lambda name: (s.progress[name].match if name in s.progress else -1, name))
        s.out.send(successor, TimeoutNow(s.term))
        _finish(s)
        become_follower(s, now_ns, s.term, None, "removed from the voters")
        return
    walk(s)


def _finish(s: RaftState) -> None:
    """Report the end of the change if this entry was its last. Otherwise the next leader must be asked for the rest."""
    if s.target is not None and step_towards(s.configs[-1][1], s.target[1]) is None:
        s.out.emit(AdminDone(s.target[0], s.commit))
        s.target = None

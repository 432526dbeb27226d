"""Membership change through the log: each entry changes the weight of one voter by 1. The next one is proposed when the last one is committed.

A leader begins only after it committed an entry of its own term. Otherwise two leaders could each make a change unknown to the other (the bug in
single-server changes found in 2015). `step_towards` picks the next entry.

A change is refused unless the present voters and the voters of each step on the way have a quorum of ready nodes. A configuration is active from its
append on: without a quorum it could not be committed, and it could not be undone.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...config.node import MS
from ..interface.entry import CONFIG, NOOP, Entry, make_entry
from ..interface.messages import TimeoutNow
from ..interface.signals import AdminDone, RosterChanged, SetVoters
from .roles import become_follower
from .state.configuration import is_quorum, path, step_towards
from .state.progress import SNAPSHOT, Progress
from .state.state import RaftState, Target


def on_roster(s: RaftState, request: RosterChanged) -> None:
    """Change the nodes that receive the log. Voters always receive it: the roster carries no weights."""
    s.others = [name for name in dict.fromkeys((*request.names, *s.voters)) if name != s.me]
    if s.leading:
        kept = dict.fromkeys(s.others)
        s.progress = {name: s.progress.get(name) or Progress(s.log.last_index + 1) for name in kept}


def begin_walk(s: RaftState, now_ns: int, request: SetVoters) -> None:
    if not s.leading:
        s.out.emit(AdminDone(request.token, s.commit, "leader-changed", "this node no longer leads"))
        return
    if s.flaws.change_acknowledged_unchanged:
        s.out.emit(AdminDone(request.token, s.commit))
        return
    if s.target is not None:
        s.out.emit(AdminDone(s.target.token, s.commit, "superseded", "other weights were asked for meanwhile"))
    voters = {name: weight for name, weight in request.voters.items() if weight > 0}
    s.target = Target(request.token, voters, request.force)
    walk(s, now_ns)


def walk(s: RaftState, now_ns: int) -> None:
    """Propose the next step towards the wanted weights, once the last one is committed."""
    if s.target is None or not s.leading or _lacks_quorum(s, now_ns, s.target):
        return
    knows = s.commit >= s.noop_index or s.flaws.second_change_before_own_term_commit
    settled = knows and (s.configs[-1][0] <= s.commit or s.flaws.changes_of_voters_overlap)
    if s.handover is not None or not settled:
        return
    token, target = s.target.token, s.target.voters
    following = step_towards(s.configs[-1][1], target)
    if following is not None and s.flaws.weights_jump:
        following = dict(target)
    if following is None:
        s.target = None
        s.out.emit(AdminDone(token, s.commit))
        return
    s.target.begun = True
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
    walk(s, now_ns)


def _lacks_quorum(s: RaftState, now_ns: int, target: Target) -> bool:
    """Return whether a configuration on the way has no quorum of ready voters. Then give the change up, unless this leader is too new to know."""
    if target.force or s.flaws.reconfigures_into_no_quorum:
        return False
    ahead = path(s.configs[-1][1], target.voters)
    unready = {name: why for voters in ahead for name in voters if (why := _unready(s, now_ns, name))}
    stuck = next((voters for voters in ahead if not is_quorum(voters, [n for n in voters if n not in unready])), None)
    if stuck is None:
        return False
    if now_ns - s.led_since_ns >= s.timing.election_max_ns:
        s.target = None
        reasons = ", ".join(f"{name} {unready[name]}" for name in stuck if name in unready)
        text = f"the voters {stuck} would have no quorum: {reasons}; hint: start or repair them first"
        s.out.emit(AdminDone(target.token, s.commit, "no-voting-quorum", text, target.begun))
        _heal_torn(s, unready)
    return True


def _heal_torn(s: RaftState, names: Iterable[str]) -> None:
    """Append a no-op if a torn node holds the whole log: it is whole only beyond its last known index, and without writes nothing brings it there."""
    last = s.log.last_index
    known = [s.progress[name] for name in names if name in s.progress]
    if s.handover is None and any(progress.torn and progress.match == last for progress in known):
        s.append([make_entry(last + 1, s.term, [NOOP])])


def _unready(s: RaftState, now_ns: int, name: str) -> str | None:
    """Return why a commit or an election cannot rely on this node's vote at present. None: it can."""
    progress = s.progress.get(name)
    if name == s.me:
        return None
    if progress is None or progress.answered_ns is None:
        return "never answered this leader"
    silent_ns = now_ns - progress.answered_ns
    if silent_ns >= s.timing.election_max_ns:
        return f"has not answered for {silent_ns // MS} ms"
    if progress.torn:
        return "lost the end of its log and does not vote yet"
    if progress.mode is SNAPSHOT or s.commit - progress.match > s.config.max_batch:
        return f"lacks {s.commit - progress.match} committed entries"
    return None


def _finish(s: RaftState) -> None:
    """Report the end of the change if this entry was its last. Otherwise the next leader must be asked for the rest."""
    if s.target is not None and step_towards(s.configs[-1][1], s.target.voters) is None:
        s.out.emit(AdminDone(s.target.token, s.commit))
        s.target = None

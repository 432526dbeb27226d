"""Leadership transfer: bring the target up to date, then send it TimeoutNow."""

from __future__ import annotations

from ..interface.messages import TimeoutNow
from ..interface.signals import AdminDone, Transfer
from .state.state import Handover, RaftState


def begin_handover(s: RaftState, now_ns: int, request: Transfer) -> None:
    """Stop accepting proposals, bring the target up to date, send it TimeoutNow."""
    error = _handover_problem(s, request.to)
    if error is not None:
        s.out.emit(AdminDone(request.token, s.commit, *error))
    elif request.to == s.me:
        s.out.emit(AdminDone(request.token, s.commit))
    else:
        s.handover = Handover(request.to, now_ns + s.timing.election_max_ns, request.token)
        continue_handover(s)


def continue_handover(s: RaftState) -> None:
    """Send TimeoutNow once the target holds the whole log."""
    handover = s.handover
    if handover is not None and not handover.sent and s.progress[handover.to].match == s.log.last_index:
        handover.sent = s.lease_void = True
        s.out.send(handover.to, TimeoutNow(s.term))


def _handover_problem(s: RaftState, to: str) -> tuple[str, str] | None:
    if not s.leading:
        return "leader-changed", "this node no longer leads"
    if s.handover is not None:
        return "busy", f"the leadership is being handed to {s.handover.to} already"
    if s.voters.get(to, 0) == 0:
        return "not-voter", f"{to} has no vote, so it cannot lead"
    return None


def expire_handover(s: RaftState, now_ns: int) -> None:
    """Give up on a target that did not take over in time. Called with each heartbeat."""
    handover = s.handover
    if handover is not None and now_ns >= handover.until_ns and not s.flaws.handover_never_given_up:
        s.handover = None
        s.out.emit(AdminDone(handover.token, s.commit, "timeout", f"{handover.to} did not take over in time"))
        s.announced = (None, -1, False)
        s.announce_leader()

"""Links that are shaped, and connections that break. Each maps the other vertex to `{"addresses": […], …}`, with the fields of `network/shaping`:

    {"queue": {"n2": shape}, "netem": {"n3": shape}, "copies": {"n2": {"duplicate_ppm": 100000}}, "resets": {"n2": {"period_ns": 1000000000}}}

`queue` shapes packets from there (`queue_thread`, `queue_rules`), by the mechanism `how` if that was tested before; `netem` shapes packets to it
(`netem`); `copies` (`duplicates`) affect packets to it too.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import signal
import sys
import time
from typing import Any

from ..network import connections, duplicates, netem, nfqueue, queue_rules, queue_thread
from ..processes import proc

Json = dict[str, Any]
NAME = "links"
END_S = 2.0
UNDO_S = 2.0
"""Time limit for an answer of a helper that must end: one that hangs must not delay the healing of its host."""
OPEN: Json = {"do": "set", "links": {}, "resets": {}, "control": []}


def claim(before: Json, wanted: Json, config: Json) -> Json:
    """`helper` and `rules` describe what may have to be removed; `tables` are the iptables tables that existed before."""
    if not wanted and not before:
        return {}
    force = dict(before)
    if (wanted.get("queue") or wanted.get("resets")) and "helper" not in before:
        force["helper"] = {"path": _path(), "process": None}
    if wanted.get("queue") and "rules" not in before:
        way = wanted.get("how", {}).get("queue") or abilities()["queue"]
        if way is None:
            raise RuntimeError(
                "this host has no nft or iptables that can queue packets for a program: apt install iptables"
            )
        force["rules"] = {"how": way, "tables": queue_rules.tables()}
    if wanted.get("copies"):
        force["copies"] = sorted({*before.get("copies", ()), *wanted["copies"]})
    if wanted.get("netem"):
        devices = {_device(shape) for shape in wanted["netem"].values()}
        if busy := sorted(device for device in devices if not netem.is_free(device)):
            raise RuntimeError(f"{busy[0]} has a qdisc of another program, which could not be restored later")
        force["devices"] = sorted({*before.get("devices", ()), *devices})
    force["vertices"] = sorted({*before.get("vertices", ()), *_vertices(wanted)})
    return force


def change(claimed: Json, wanted: Json, config: Json) -> Json:
    """Change the rules while no process holds their queue, or while its holder lets all packets pass, so that a change loses no packet."""
    control, force = config["control"], dict(claimed)
    queue, resets, copies = (wanted.get(name, {}) for name in ("queue", "resets", "copies"))
    helper, needed = claimed.get("helper"), bool(queue or resets)
    request = {"do": "set", "links": queue, "resets": resets, "control": control}
    starting = queue_thread.begin(_program(), helper["path"]) if helper and needed else None
    if helper and not needed:
        _send(helper, request, needed=False)
    if rules := claimed.get("rules"):
        addresses = [address for shape in queue.values() for address in shape["addresses"]]
        queue_rules.apply(rules["how"], addresses, control, rules["tables"])
    if helper and needed:
        force["helper"] = {**helper, "process": queue_thread.await_start(helper["path"], starting)}
        _send(helper, request, needed=True)
    elif helper:
        _end(helper)
        del force["helper"]
    if not queue:
        force.pop("rules", None)
    if "copies" in claimed:
        chances = {a: each["duplicate_ppm"] for each in copies.values() for a in each["addresses"]}
        duplicates.apply(chances, control)
        force["copies"] = sorted(copies)
    for device in claimed.get("devices", ()):
        chosen = {name: shape for name, shape in wanted.get("netem", {}).items() if _device(shape) == device}
        netem.apply(device, chosen, control)
    if not wanted.get("netem"):
        force.pop("devices", None)
    for name, reset in resets.items():
        if name not in claimed.get("broken", ()):
            connections.break_all(reset["addresses"], control)
    force["broken"], force["vertices"] = sorted(resets), sorted(_vertices(wanted))
    return {name: value for name, value in force.items() if value} if wanted else {}


def undo(force: Json) -> list[str]:
    """Undo: first release the packets that wait for a verdict, then remove the rules, then end the queue's holder."""
    undone = []
    helper = force.get("helper")
    if helper:
        _send(helper, OPEN, needed=False)
    if (rules := force.get("rules")) and queue_rules.remove(rules["how"], rules["tables"]):
        undone.append("queue")
    if helper and _end(helper):
        undone.append("helper")
    if duplicates.remove():
        undone.append("copies")
    undone += [f"qdisc of {device}" for device in force.get("devices", ()) if netem.remove(device)]
    return [f"links: {', '.join(undone)} ({', '.join(force.get('vertices', ())) or 'unknown'})"] if undone else []


def look(request: Json, config: Json) -> Json:
    """Return, by `what`, the host's `abilities`, its `connections` with some addresses, or the counters of the helper."""
    if request["what"] == "abilities":
        return {"abilities": abilities()}
    if request["what"] == "connections":
        return {"connections": connections.listed(request["addresses"], config["control"])}
    counters = None
    with contextlib.suppress(OSError, RuntimeError):
        counters = queue_thread.send(_path(), {"do": "ask"})["counters"]
    return {"counters": counters, "refused": refused_by_checksum()}


@functools.cache
def abilities() -> Json:
    """Return the mechanisms of this host; each is tested once, without leaving anything behind."""
    way = queue_rules.way()
    return {
        "netem": netem.possible(),
        # If our own helper runs, it is the one that uses the queue.
        "queue": way if way and (queue_thread.holder(_path()) or nfqueue.available(queue_thread.QUEUE)) else None,
        "copies": duplicates.possible(),
        "resets": connections.can_break(),
    }


def refused_by_checksum() -> int:
    """The total number of packets that this host's UDP and TCP refused because of a wrong checksum."""
    total = 0
    for path in ("/proc/net/snmp", "/proc/net/snmp6"):
        with contextlib.suppress(FileNotFoundError), open(path) as file:
            total += sum(_csum_errors(file.read().splitlines()))
    return total


def _csum_errors(lines: list[str]) -> list[int]:
    found = [int(line.split()[1]) for line in lines if line.startswith("Udp6InCsumErrors")]
    for names, values in itertools.pairwise(lines):
        if names.startswith(("Udp: In", "Tcp: Rto")) and "InCsumErrors" in names:
            found.append(int(values.split()[names.split().index("InCsumErrors")]))
    return found


def _send(helper: Json, request: Json, needed: bool) -> None:
    try:
        queue_thread.send(helper["path"], request, queue_thread.ANSWER_S if needed else UNDO_S)
    except OSError as error:
        # One that has gone holds nothing any more, and its rules let everything through.
        if needed:
            raise RuntimeError(f"the helper that shapes links does not answer: {error}") from None


def _end(helper: Json) -> bool:
    """End the process that was started, first gently, then by force. Return whether there was one."""
    known = helper.get("process")
    holder = None if known else queue_thread.holder(helper["path"])
    with contextlib.suppress(OSError, RuntimeError):
        queue_thread.send(helper["path"], {"do": "quit"}, UNDO_S)
    pid = known[0] if known else holder
    if pid is None:
        return False
    started = known[1] if known else None
    deadline_s = time.monotonic() + END_S
    was_there = False
    while (seen := proc.read(pid)) is not None and seen.living and started in (None, seen.started):
        was_there = True
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        if time.monotonic() > deadline_s:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            break
        time.sleep(0.01)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(helper["path"])
    return was_there or holder is not None


def _vertices(wanted: Json) -> set[str]:
    return {vertex for name in ("queue", "netem", "copies", "resets") for vertex in wanted.get(name, {})}


def _device(shape: Json) -> str:
    return netem.device_to(shape["addresses"][0].partition("%")[0])


def _program() -> str:
    return os.path.abspath(sys.argv[0])


def _path() -> str:
    """A path next to the agent's program, which is in the agent's directory."""
    return os.path.join(os.path.dirname(_program()), queue_thread.SOCKET)

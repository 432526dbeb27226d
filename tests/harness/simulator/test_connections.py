"""The network as nodes and clients meet it: cuts, half-open connections, resets, refusals."""

from __future__ import annotations

from tribulation.harness.nemesis.faults.fault import CLIENTS
from tribulation.harness.simulator.network.clients import End
from tribulation.harness.simulator.options import MILLISECOND, SECOND
from tribulation.node.core.interface.effects import Reply, Send, SetTimer
from tribulation.node.core.interface.events import ClientGone, Connected, Disconnected, Received, Request, TimerFired
from tribulation.node.core.interface.messages import TimeoutNow

from .scripted import events_of, scripted_cluster

PAIR = ("n1", "n2")
BOTH = [("n1", "n2"), ("n2", "n1")]


def chatter(node, now, event):
    """Every node sends its peer a counter each 100 ms from its first connection on."""
    peer = "n2" if node == "n1" else "n1"
    if isinstance(event, Connected):
        return [SetTimer("tick", 1, now)]
    if isinstance(event, TimerFired):
        step = event.generation
        return [Send(peer, TimeoutNow(step)), SetTimer("tick", step + 1, now + 100 * MILLISECOND)]
    return []


def heard(log, node, since=0):
    return [event.message.term for name, _, event in log[since:] if name == node and isinstance(event, Received)]


def quiet(**more):
    return {"stale_timer_ppm": 0, "clock_offset_max_ns": 0, **more}


def test_a_short_cut_delays_and_loses_nothing():
    cluster, log = scripted_cluster(chatter, PAIR, **quiet())
    cluster.run_until(SECOND)
    cluster.cut(BOTH)
    since = len(log)
    cluster.run_until(2 * SECOND)
    assert heard(log, "n2", since) == []
    cluster.heal(BOTH)
    cluster.run_until(4 * SECOND)
    terms = heard(log, "n2")
    assert terms == list(range(1, len(terms) + 1)) and len(terms) > 35
    assert events_of(log, "n1", Disconnected) == []


def test_a_long_cut_resets_and_the_connection_comes_back_after_the_heal():
    cluster, log = scripted_cluster(chatter, PAIR, **quiet())
    cluster.run_until(SECOND)
    cluster.cut(BOTH)
    cluster.run_until(8 * SECOND)
    assert not cluster.peers.connected("n1", "n2") and not cluster.peers.connected("n2", "n1")
    assert len(events_of(log, "n2", Disconnected)) == 1
    cluster.heal(BOTH)
    since = len(log)
    cluster.run_until(11 * SECOND)
    assert cluster.peers.connected("n1", "n2") and cluster.peers.connected("n2", "n1")
    assert heard(log, "n1", since) and heard(log, "n2", since)


def test_a_one_way_cut_lets_the_other_direction_through_until_its_sender_gives_up():
    cluster, log = scripted_cluster(chatter, PAIR, **quiet())
    cluster.run_until(SECOND)
    cluster.cut([("n1", "n2")])
    since = len(log)
    cluster.run_until(3 * SECOND)
    assert heard(log, "n2", since) == [] and len(heard(log, "n1", since)) > 15
    cluster.run_until(12 * SECOND)
    assert not cluster.peers.connected("n2", "n1"), "no acknowledgement ever came back"


def test_a_hello_that_comes_after_a_later_one_does_not_leave_one_side_alone_with_its_connection():
    """Nothing is ever sent, so that only pings can find out."""
    cluster, log = scripted_cluster(lambda node, now, event: [], PAIR, **quiet())
    cluster.run_until(SECOND)
    cluster.clog("n1", "n2", 5 * SECOND)
    cluster.power_loss("n1")
    cluster.start("n1")
    cluster.run_until(cluster.now_ns + 100 * MILLISECOND)
    cluster.heal_network()
    cluster.run_until(4 * SECOND)
    since = len(log)
    assert cluster.peers.connected("n1", "n2") and cluster.peers.connected("n2", "n1")
    cluster.run_until(12 * SECOND)
    assert events_of(log[since:], "n2", Connected), "the first hello came late"
    assert cluster.peers.connected("n1", "n2") and cluster.peers.connected("n2", "n1")


def test_overlapping_cuts_need_a_heal_each():
    cluster, log = scripted_cluster(chatter, PAIR, **quiet())
    cluster.run_until(SECOND)
    cluster.cut(BOTH)
    cluster.cut(BOTH)
    cluster.heal(BOTH)
    since = len(log)
    cluster.run_until(2 * SECOND)
    assert heard(log, "n1", since) == []
    cluster.heal_network()
    cluster.run_until(4 * SECOND)
    assert heard(log, "n1", since)


def test_a_kill_is_heard_at_once_and_a_power_loss_only_by_silence():
    for stop, soon in (("kill", True), ("power_loss", False)):
        cluster, log = scripted_cluster(chatter, PAIR, **quiet())
        cluster.run_until(SECOND)
        getattr(cluster, stop)("n2")
        cluster.run_until(SECOND + 100 * MILLISECOND)
        assert bool(events_of(log, "n1", Disconnected)) is soon
        cluster.run_until(8 * SECOND)
        assert events_of(log, "n1", Disconnected)
        cluster.start("n2")
        cluster.run_until(11 * SECOND)
        assert cluster.peers.connected("n1", "n2")


def test_a_host_that_comes_back_resets_the_half_open_connection():
    cluster, log = scripted_cluster(chatter, PAIR, **quiet())
    cluster.run_until(SECOND)
    cluster.power_loss("n1")
    cluster.run_until(SECOND + 200 * MILLISECOND)
    cluster.start("n1")
    cluster.run_until(3 * SECOND)
    assert len(events_of(log, "n2", Connected)) == 2
    assert cluster.peers.connected("n2", "n1")


def test_loss_duplication_and_reordering_happen_when_asked_for():
    cluster, log = scripted_cluster(
        chatter, PAIR, **quiet(loss_ppm=100_000, duplicate_ppm=100_000, reorder_ppm=100_000, reorder_ns=SECOND)
    )
    cluster.run_until(60 * SECOND)
    terms = heard(log, "n2")
    assert len(set(terms)) < 590 and len(terms) > len(set(terms)) and terms != sorted(terms)


def test_a_clog_holds_everything_and_loses_nothing():
    cluster, log = scripted_cluster(chatter, PAIR, **quiet())
    cluster.run_until(SECOND)
    cluster.clog("n1", "n2", 5 * SECOND)
    since = len(log)
    cluster.run_until(4 * SECOND)
    assert len(heard(log, "n2", since)) <= 1
    cluster.run_until(6 * SECOND)
    terms = heard(log, "n2")
    assert terms == list(range(1, len(terms) + 1))


def echo(node, now, event):
    return [Reply(event.client, {"id": event.body["id"], "status": "ok"})] if isinstance(event, Request) else []


def ask(cluster, answers, node="n1", ident=1, client="c1"):
    cluster.request(client, node, {"id": ident}, lambda answer: answers.append((ident, answer.end, answer.reason)))


def test_a_request_is_answered():
    cluster, _ = scripted_cluster(echo)
    answers = []
    ask(cluster, answers)
    assert answers == []
    cluster.run_until(SECOND)
    ask(cluster, answers, ident=2)
    cluster.run_until(2 * SECOND)
    assert answers == [(1, End.REPLY, None), (2, End.REPLY, None)]


def test_no_process_refuses_and_no_host_times_out():
    cluster, _ = scripted_cluster(echo)
    answers = []
    cluster.kill("n1")
    ask(cluster, answers)
    cluster.run_until(100 * MILLISECOND)
    assert answers == [(1, End.REFUSED, "connection refused")]
    cluster.power_loss("n1")
    ask(cluster, answers, ident=2)
    cluster.run_until(500 * MILLISECOND)
    assert len(answers) == 1
    cluster.run_until(2 * SECOND)
    assert answers[1] == (2, End.REFUSED, "connect timed out")


def test_a_kill_loses_what_was_asked():
    cluster, _ = scripted_cluster(lambda node, now, event: [])
    answers = []
    ask(cluster, answers)
    cluster.run_until(SECOND)
    cluster.kill("n1")
    cluster.run_until(2 * SECOND)
    assert answers == [(1, End.LOST, "connection reset")]


def test_clients_are_a_vertex_that_can_be_cut_off():
    cluster, log = scripted_cluster(echo)
    answers = []
    ask(cluster, answers)
    cluster.run_until(SECOND)
    cluster.cut([("n1", CLIENTS)])
    ask(cluster, answers, ident=2)
    cluster.run_until(2 * SECOND)
    assert len(events_of(log, "n1", Request)) == 2 and len(answers) == 1, "it was served, the reply did not come"
    cluster.heal([("n1", CLIENTS)])
    cluster.run_until(3 * SECOND)
    assert answers[1] == (2, End.REPLY, None)


def test_a_client_that_hangs_up_is_reported_to_the_node_and_hears_nothing_more():
    cluster, log = scripted_cluster(lambda node, now, event: [])
    answers = []
    ask(cluster, answers)
    cluster.run_until(SECOND)
    cluster.disconnect("c1", "n1")
    cluster.run_until(2 * SECOND)
    assert answers == [] and len(events_of(log, "n1", ClientGone)) == 1


def test_a_world_that_was_calmed_loses_and_repeats_nothing_any_more():
    cluster, log = scripted_cluster(
        chatter, PAIR, **quiet(loss_ppm=300_000, duplicate_ppm=300_000, reorder_ppm=300_000)
    )
    cluster.run_until(4 * SECOND)
    wild = heard(log, "n2")
    assert wild != sorted(set(wild)), "it was as disorderly as asked"
    cluster.calm()
    cluster.run_until(5 * SECOND)
    since = len(log)
    cluster.run_until(9 * SECOND)
    terms = heard(log, "n2", since)
    assert len(terms) > 35 and terms == list(range(terms[0], terms[0] + len(terms)))

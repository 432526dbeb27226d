"""Parts of the machine below the process: decay at rest, the atlas that bounds it, clocks whose rate changes, options as JSON."""

from __future__ import annotations

import json
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.harness.nemesis.faults.damageable import may_be_damaged
from tribulation.harness.simulator.cluster.clocks import HostClock
from tribulation.harness.simulator.disk.decay import DECAYS, may_show, misdirect, repair, rot
from tribulation.harness.simulator.disk.disk import SECTOR, Disk
from tribulation.harness.simulator.errors import SimulationError
from tribulation.harness.simulator.options import SECOND, SimOptions


def disk_with(*contents: bytes) -> Disk:
    disk = Disk(1, 1)
    for number, content in enumerate(contents):
        disk.append(f"f{number}", content)
        disk.fsync(f"f{number}")
    disk.fsync_dir()
    return disk


def test_rot_flips_one_bit_of_one_file_for_reader_and_platter():
    for bits in range(200):
        disk = disk_with(b"abc", b"defgh")
        before = disk.files()
        rot(disk, bits)
        changed = [(a ^ b).bit_count() for n, c in disk.files().items() for a, b in zip(before[n], c, strict=True)]
        assert sum(changed) == 1
        after = disk.files()
        disk.power_loss()
        assert disk.files() == after


def test_a_misdirected_write_leaves_zeros_here_and_its_bytes_there():
    a, b, c = (bytes([byte]) * SECTOR for byte in b"abc")
    for bits in range(50):
        disk = disk_with(a + b, c)
        misdirect(disk, bits)
        sectors = [part[i : i + SECTOR] for part in disk.files().values() for i in range(0, len(part), SECTOR)]
        kept = [s for s, old in zip(sectors, (a, b, c), strict=True) if s == old]
        assert sectors.count(bytes(SECTOR)) == 1 and len(kept) == 1 and len(set(sectors)) == 3


def test_a_misdirected_write_never_makes_a_log_look_as_if_its_last_write_had_never_been():
    """Zeros from just where a write had ended say that nothing followed it: the node would forget what it promised, and no one would notice."""
    first, last = b"a" * SECTOR, b"b" * SECTOR
    for bits in range(200):
        disk = disk_with(first)
        inode = next(iter(disk.inodes()))
        inode.durable += last
        inode.cached += last
        misdirect(disk, bits)
        assert bytes(inode.durable[SECTOR:]).strip(b"\0"), "the last write is damaged, not gone"


@given(
    st.lists(st.tuples(st.sampled_from(sorted(DECAYS)), st.integers(0, 1 << 62)), max_size=6), st.binary(max_size=2000)
)
def test_repair_brings_back_every_byte(decays: list[tuple[str, int]], content: bytes):
    disk = disk_with(content, content[::-1])
    before = disk.files()
    for kind, bits in decays:
        DECAYS[kind](disk, bits)
    repair(disk)
    assert disk.files() == before and disk.decays == []


def test_repair_leaves_what_was_written_since():
    disk = disk_with(b"abc")
    rot(disk, 7)
    disk.write("f0", b"new")
    repair(disk)
    assert disk.files() == {"f0": b"new"}


def test_an_empty_disk_does_not_decay():
    assert rot(Disk(1, 1), 5) is None and misdirect(disk_with(b"short"), 5) is None


@given(st.lists(st.integers(0, 3 * SECTOR), min_size=1, max_size=3), st.booleans(), st.integers(0, 1 << 62))
def test_damage_changes_something_exactly_where_it_may_show(lengths: list[int], zeros: bool, bits: int) -> None:
    for kind, decay in DECAYS.items():
        disk = disk_with(*(bytes(length) if zeros else b"x" * length for length in lengths))
        before, may = disk.files(), may_show(disk, kind)
        found = decay(disk, bits)
        assert may == (found is not None) == (disk.files() != before), kind


def test_a_disk_says_what_is_wrong_with_it() -> None:
    disk = disk_with(b"abc")
    assert disk.wrong() == []
    disk.trouble.add("lying", 1)
    rot(disk, 7)
    assert disk.wrong() == ["lying", "decayed"]
    disk.trouble.end()
    repair(disk)
    assert disk.wrong() == []


WEIGHTS = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 3), min_size=1)


@given(WEIGHTS, st.lists(st.sampled_from("abcdefg"), unique=True), st.data())
def test_the_atlas_leaves_good_copies_on_a_quorum_and_spares_no_more_than_it_must(voters, wanted, data):
    damaged = may_be_damaged(voters, [], data.draw(st.lists(st.sampled_from(sorted(voters)), unique=True)))
    allowed = may_be_damaged(voters, damaged, wanted)
    good = sum(weight for node, weight in voters.items() if node not in {*damaged, *allowed})
    assert 2 * good > sum(voters.values())
    spared = [node for node in wanted if node not in allowed]
    assert all(2 * (good - voters[node]) <= sum(voters.values()) for node in spared)


def test_of_five_equal_disks_any_two_may_decay_and_no_third():
    five = dict.fromkeys(("a", "b", "c", "d", "e"), 1)
    for pair in combinations(five, 2):
        assert may_be_damaged(five, [], pair) == list(pair)
        assert may_be_damaged(five, pair, ["x", *five]) == ["x", *pair], "who does not vote may, and who is damaged"


@given(
    st.lists(st.tuples(st.integers(1, 5 * SECOND), st.integers(-50_000, 50_000)), max_size=6),
    st.integers(0, 10 * SECOND),
)
def test_clocks_go_on_from_where_they_are_when_their_rate_changes(changes: list[tuple[int, int]], ahead_ns: int):
    clock, now_ns, low, high = HostClock(1, 2, SimOptions(drift_max_ppm=100)), 0, [], []
    for after_ns, ppm in changes:
        now_ns += after_ns
        before = clock.mono_ns(now_ns), clock.wall_ns(now_ns)
        clock.drift(now_ns, ppm)
        assert (clock.mono_ns(now_ns), clock.wall_ns(now_ns)) == before
        low.append(clock.offset_ns(now_ns))
        high.append(clock.offset_ns(now_ns))
    mono_ns = clock.mono_ns(now_ns) + ahead_ns
    true_ns = clock.true_ns(mono_ns)
    assert clock.mono_ns(true_ns) >= mono_ns and (true_ns <= now_ns or clock.mono_ns(true_ns - 1) < mono_ns)
    middle_ns, error_ns = clock.offset_of_run_ns(now_ns)
    assert all(abs(offset - middle_ns) <= error_ns for offset in (*low, *high))


def test_a_host_that_was_booted_again_has_no_one_offset():
    clock = HostClock(1, 2, SimOptions())
    assert clock.offset_of_run_ns(5) == (clock.offset_ns(5), 0)
    clock.boot(10)
    assert clock.offset_of_run_ns(20) is None


def test_options_survive_json_exactly_and_every_one_is_reported():
    options = SimOptions(loss_ppm=7, fence=False, reorder_ns=3)
    data = json.loads(json.dumps(options.to_json()))
    assert SimOptions.from_json(data) == options and set(data) == set(SimOptions.__dataclass_fields__)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"losses": 1}, "no option 'losses'"),
        ({"loss_ppm": 1.5}, "loss_ppm: 1.5 is not of type int"),
        ({"fence": 1}, "fence: 1 is not of type bool"),
    ],
)
def test_other_options_are_refused(change: dict, message: str):
    with pytest.raises(SimulationError, match=message):
        SimOptions.from_json({**SimOptions().to_json(), **change})

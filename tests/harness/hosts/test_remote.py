"""Commands, files and channels over SSH, on real hosts; and what is said when they fail."""

from __future__ import annotations

import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tribulation.harness.errors import HostError, TribulationError
from tribulation.harness.hosts.errors import CommandError, ConnectError
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.hosts.parallel import on_all
from tribulation.harness.hosts.ssh.remote import OWN_FILES, RemoteHost, _LineChannel, put_script


@pytest.fixture
def host(lab: LocalProvider) -> RemoteHost:
    return lab.hosts[0]


def test_a_string_is_for_the_shell_and_a_sequence_is_quoted(host: RemoteHost) -> None:
    assert host.run("echo $((1 + 1)); echo e >&2; exit 0").stdout == "2\n"
    assert host.run(["printf", "%s|", "a b", "$HOME", "'", ""]).stdout == "a b|$HOME|'||"
    done = host.run("echo out; echo err >&2; exit 3", check=False)
    assert (done.exit_code, done.stdout, done.stderr) == (3, "out\n", "err\n")
    assert 0 < done.elapsed_s < 20
    assert host.run("cat", stdin=b"in \xff").stdout == "in �"
    assert host.run("cat").stdout == ""


def test_a_failure_names_host_command_exit_code_and_the_end_of_what_it_said(host: RemoteHost) -> None:
    with pytest.raises(CommandError) as caught:
        host.run("echo no such luck >&2; exit 7")
    text = str(caught.value)
    for part in (
        "n1 (root@10.77.0.1:22)" if host.target.user == "root" else "n1 (",
        "`echo no such luck",
        "exited with 7",
        "no such luck\n\nhint: ",
    ):
        assert part in text
    assert (caught.value.command_exit_code, caught.value.exit_code) == (7, 4)
    with pytest.raises(HostError, match=r"127: .*not found\n\nhint: the program is not installed"):
        host.run("no-such-program")


def test_a_command_that_does_not_end_costs_its_deadline_only(host: RemoteHost) -> None:
    began_s = time.monotonic()
    with pytest.raises(CommandError, match=r"`echo so far >&2; sleep 60` did not end within 0.5 s: so far\n\nhint:"):
        host.run("echo so far >&2; sleep 60", timeout_s=0.5)
    with pytest.raises(CommandError, match="did not end"):
        host.run("exec >&- 2>&-; sleep 60", timeout_s=0.3)
    with pytest.raises(CommandError, match="did not end"):
        host.run("sleep 60", timeout_s=0.3, stdin=bytes(8 << 20))
    assert time.monotonic() - began_s < 4
    host.run("true")


def test_much_output_on_both_streams_and_much_input_do_not_dead_lock(host: RemoteHost) -> None:
    done = host.run("head -c 6000000 /dev/zero >&2; head -c 6000000 /dev/zero")
    assert (len(done.stdout), len(done.stderr)) == (6_000_000, 6_000_000)
    assert host.run("wc -c", stdin=bytes(9_000_000)).stdout == "9000000\n"
    assert len(host.run("tee /dev/stderr", stdin=bytes(5_000_000)).stdout) == 5_000_000
    assert host.run("exec <&-; echo read nothing", stdin=bytes(5_000_000)).stdout == "read nothing\n"


def test_put_is_atomic_makes_parents_and_sets_the_mode(host: RemoteHost) -> None:
    content, path = bytes(range(256)) * 40_000, f"{host.directory}/deep/er/a file's name"
    host.put(content, path, mode=0o750)
    assert host.get(path) == content
    assert host.run(["stat", "-c", "%a %s", path]).stdout == f"750 {len(content)}\n"
    host.put(b"", path)
    assert host.get(path) == b""
    with pytest.raises(HostError, match="Read-only file system"):
        host.put(b"x", "/usr/x")
    with pytest.raises(HostError, match=r"get .*absent.* exited with 1: .*No such file"):
        host.get("/absent")
    assert host.run(["ls", f"{host.directory}/deep/er"]).stdout == "a file's name\n"


def test_an_interrupted_put_leaves_the_old_file(host: RemoteHost) -> None:
    path = f"{host.directory}/old"
    host.put(b"old", path)
    with pytest.raises(HostError, match=r"did not end|connection lost"):
        host.put(bytes(64 << 20), path, timeout_s=0.02)
    assert host.get(path) == b"old"


def test_a_channel_is_asked_line_by_line(host: RemoteHost) -> None:
    channel = host.start('while read line; do echo "got $line"; done; echo bye >&2; exit 5')
    for text in ("one", "two", "ümlaut"):
        channel.send_line(text)
        assert channel.read_line(5) == f"got {text}"
    with pytest.raises(HostError, match=r"printed no line within 0.1 s"):
        channel.read_line(0.1)
    channel.send_line("three")
    assert channel.read_line(5) == "got three"
    channel.close()
    channel.close()


def test_a_channel_whose_command_ended_says_how(host: RemoteHost) -> None:
    channel = host.start("echo only; echo the reason >&2; exit 5")
    assert channel.read_line(5) == "only"
    with pytest.raises(HostError, match="ended with exit code 5: the reason"):
        channel.read_line(5)
    with pytest.raises(HostError, match="does not read any more"):
        for _ in range(100_000):
            channel.send_line("x" * 100)
    channel.close()


def test_many_threads_share_one_connection(host: RemoteHost) -> None:
    done: list[str] = []
    threads = [threading.Thread(target=lambda i=i: done.append(host.run(f"echo {i}").stdout)) for i in range(100)]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert sorted(done) == sorted(f"{i}\n" for i in range(100))
    assert len(host.run("ss -Htn state established '( sport = :22 )'").stdout.splitlines()) == 1


def test_a_full_connection_refuses_after_the_deadline(lab: LocalProvider) -> None:
    shared = lab.hosts[0]
    host = RemoteHost(
        replace(shared.target, max_channels=2), directory="/srv/x", python="python3", control=shared.control
    )
    channels = [host.start("cat") for _ in range(2)]
    with pytest.raises(ConnectError, match=r"all 2 SSH channels stayed in use for 0.2 s") as caught:
        host.run("true", timeout_s=0.2)
    assert caught.value.reason == "busy"
    channels[0].close()
    assert host.run("echo free").stdout == "free\n"
    channels[1].close()
    host.close()


KILL_ONCE = "test -e /tmp/once || { touch /tmp/once; kill -9 $PPID; sleep 5; }; rm /tmp/once; echo done"


def test_a_lost_connection_is_reported_and_made_again_for_the_next_command(host: RemoteHost) -> None:
    host.run("rm -f /tmp/once")
    with pytest.raises(CommandError, match="connection lost while it ran"):
        host.run(KILL_ONCE)
    assert host.run("echo again").stdout == "again\n"


def test_a_command_called_idempotent_is_tried_once_more(host: RemoteHost) -> None:
    host.run("rm -f /tmp/once")
    assert host.run(KILL_ONCE, idempotent=True).stdout == "done\n"
    with pytest.raises(CommandError, match="connection lost"):
        host.run("kill -9 $PPID; sleep 5", idempotent=True)


def test_a_command_killed_by_a_signal_is_not_taken_for_a_lost_connection(host: RemoteHost) -> None:
    with pytest.raises(CommandError, match="killed by a signal"):
        host.run("kill -9 $$")


def test_every_hosts_result_is_kept(lab: LocalProvider) -> None:
    def ask(host: RemoteHost) -> str:
        if host.name == "n3":
            raise KeyError("mine")
        return host.run("hostname; test $(hostname) != n2").stdout

    results = on_all(lab.hosts, ask)
    assert [result.host for result in results] == ["n1", "n2", "n3"]
    assert results.values == {"n1": "n1\n"}
    assert list(results.errors) == ["n2", "n3"]
    with pytest.raises(
        HostError,
        match=r"asking failed on 2 of 3 hosts:\n  n2: n2 .* exited with 1: n2\n  n3: KeyError: 'mine' \(.*test_remote.py:168 \(ask\)\)\n\nhint: ",
    ) as caught:
        results.require("asking")
    assert isinstance(caught.value, TribulationError)
    assert len(on_all([], ask)) == 0


def test_output_without_end_is_cut_at_its_bound(host: RemoteHost) -> None:
    with pytest.raises(CommandError, match="printed more than 16 MiB"):
        host.run("exec yes")
    with pytest.raises(CommandError, match="printed more than 16 MiB"):
        host.run("exec yes >&2")
    channel = host.start("exec tr '\\0' x </dev/zero")
    try:
        with pytest.raises(CommandError, match="printed a line of more than 16 MiB"):
            channel.read_line(30.0)
    finally:
        channel.close()
    host.run("true")


def test_a_directory_that_another_user_made_meanwhile_gets_no_program(host: RemoteHost, lab: LocalProvider) -> None:
    if host.target.user != "root":
        pytest.skip("only root can play another user")
    host.run(
        "mkdir -m 1777 -p /srv/open && mkdir /srv/open/ours && chown 7 /srv/open/ours && mkdir -p /srv/aim && ln -s /srv/aim /srv/open/link && chown -h 7 /srv/open/link"
    )
    for place in ("/srv/open/ours", "/srv/open/link", "/srv/open/ours/deeper"):
        other = RemoteHost(host.target, directory=place, python="python3", control=host.control)
        try:
            with pytest.raises(CommandError, match="belongs to user number 7"):
                other.put(b"x", f"{place}/nemesis/agent.pyz")
        finally:
            other.close()
    assert host.run("ls -A /srv/open/ours/nemesis 2>/dev/null; ls -A /srv/aim/nemesis 2>/dev/null; true").stdout == ""
    host.run("rm -rf /srv/open")


def test_errors_without_end_do_not_keep_the_caller() -> None:
    class Endless:
        pieces = 0

        def recv_stderr_ready(self) -> bool:
            return True

        def recv_stderr(self, size: int) -> bytes:
            self.pieces += 1
            return b"no such file\n" * 100

    channel = _LineChannel(None, Endless(), "tail -f")  # type: ignore[arg-type]
    assert channel._said().endswith("no such file") and channel._channel.pieces < 1000


def test_no_other_user_may_write_to_a_file_before_it_has_its_mode(host: RemoteHost) -> None:
    """A boot hook, which root runs, was written under the login's own umask and got its mode afterwards."""
    assert host.run("umask -S").stdout.strip().endswith(("g=rx,o=rx", "g=,o="))
    seen = host.run("umask", stdin=b"x").stdout.strip()
    assert int(seen, 8) & 0o022 == 0o022


@pytest.mark.parametrize("login", ["000", "002", "022", "077"])
def test_the_umask_of_a_login_is_only_made_stricter(login: str) -> None:
    script = f"umask {login}\n{OWN_FILES}umask"
    after = int(subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout, 8)
    assert after == int(login, 8) | 0o022


def test_a_file_is_private_until_it_has_its_mode(tmp_path: Path) -> None:
    """Under a login's umask of 0 as well; what other users see of it while it arrives is a name that cannot be guessed."""
    content, target = b"secret" * 1000, tmp_path / "folder" / "key"
    script = "umask 0\n" + put_script(str(target), len(content), 0o600)
    with subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(content[:10])
        process.stdin.flush()
        until_s = time.monotonic() + 20
        while not (seen := list(tmp_path.glob("folder/*"))) and time.monotonic() < until_s:
            time.sleep(0.01)
        assert [path.stat().st_mode & 0o777 for path in seen] == [0o600]
        process.stdin.write(content[10:])
    assert process.returncode == 0 and target.read_bytes() == content and target.stat().st_mode & 0o777 == 0o600

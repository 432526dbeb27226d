"""What is secret stays so: keys are in their files alone, and nothing of what nodes say crosses the network as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness.systems.cluster import Cluster
from tests.harness.systems.loopback import free_port, wait_for
from tests.integration import captured
from tests.integration.rogues import status
from tribulation.harness.systems.base import Op
from tribulation.harness.systems.reference.authority import write_secret
from tribulation.harness.systems.reference.system import DATAGRAM_KEY, TLS_FILES

ROOT = Path(__file__).parents[2]
P256_KEY = b"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg"
"""How every private key on the curve P-256 begins in PEM (PKCS #8)."""
DEADLINE_S = 60.0


@pytest.mark.parametrize("way", ["tls", "plain"])
def test_a_capture_of_the_port_has_nothing_of_what_is_said(way: str, tmp_path: Path, namespaces: None) -> None:
    """The plaintext cluster is there to show that the capture would have found it."""
    unshare = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    command = [*unshare, sys.executable, "-m", "tests.integration.captured", str(tmp_path), way]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["bytes"] > 10_000
    assert seen["found"] == ([] if way == "tls" else [captured.KEY, captured.VALUE, captured.CLUSTER])


def secrets_in(content: bytes, secrets: list[bytes]) -> list[bytes]:
    return [secret[:8] for secret in [*secrets, P256_KEY, b"PRIVATE KEY"] if secret in content]


def test_no_key_is_in_logs_traces_process_lists_or_anything_that_is_reported(tmp_path: Path) -> None:
    """Bad keys, too, which the log complains of."""
    metrics = f"127.0.0.1:{free_port()}"
    seed = free_port()
    members = {"udp_port": seed, "broadcast": False, "seeds": [["127.0.0.1", seed]]}
    with Cluster(tmp_path, 1, tls=True, metrics=metrics, membership=members) as cluster:
        cluster.until_ok(Op("write", "k", 1), lambda: "n1", DEADLINE_S)
        service, host = cluster.service, cluster.hosts[0]
        assert service.authority is not None
        keep = [cluster.file("n1", name) for name in (TLS_FILES["key"], DATAGRAM_KEY)]
        assert [path.stat().st_mode & 0o777 for path in keep] == [0o600, 0o600]
        secrets = [line for path in keep for line in path.read_bytes().split(b"\n") if line and b"-----" not in line]
        assert len(secrets) == 4 and secrets_in(keep[0].read_bytes(), secrets), "the search finds what is there"
        write_secret(keep[0], b"-----BEGIN PRIVATE KEY-----\nnot-to-be-told-1\n-----END PRIVATE KEY-----\n")
        write_secret(keep[1], b"not-to-be-told-2\n")
        secrets += [b"not-to-be-told"]
        cluster.signal("n1", "HUP")
        log = cluster.file("n1", "node.log")
        wait_for(lambda: log.read_text().count("refused, the old stays in use") >= 2, "both to be refused", DEADLINE_S)
        facts = {
            "status": status(metrics),
            "admin": service.status(host, cluster.dial),
            "config": service.config(host, [host]),
        }
        shown = [json.dumps(facts), repr(service), repr(service.authority), repr(service.authority.node("n1"))]
        texts = {"told": " ".join(shown).encode(), **{f"collected {k}": v for k, v in service.collect(host).items()}}
        for process in Path("/proc").glob("[0-9]*"):
            for name in ("cmdline", "environ"):
                try:
                    texts[f"{process}/{name}"] = (process / name).read_bytes()
                except OSError:
                    continue  # It is gone, or not ours.
        for path in tmp_path.rglob("*"):
            if path.is_file() and path not in keep:
                texts[str(path)] = path.read_bytes()
        assert len(texts) > 20
        found = {
            where: secrets_in(text, secrets)
            for where, text in texts.items()
            if not where.endswith((".py", ".pyc", ".pyz"))
        }
        assert {where: names for where, names in found.items() if names} == {}


@pytest.mark.full
def test_a_run_with_certificates_leaves_no_key_in_its_folder(
    tri: Callable[..., Any], tmp_path: Path, namespaces: None
) -> None:
    """On local hosts, where it must be asked for; its folder has the history, traces, logs and the report."""
    campaign = ROOT / "tests/integration/campaigns/certified.yaml"
    ended = tri("run", str(campaign), "--json", timeout_s=220.0)
    assert ended.exit_code == 0, ended.stderr
    folder = Path(ended.document["run"])
    configs = list(folder.rglob("config.json"))
    assert configs and all("tls" in json.loads(path.read_text()) for path in configs)
    texts = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {"history.jsonl", "report.html"} <= {path.name for path in texts}
    assert [path for path, text in texts.items() if secrets_in(text, [])] == []
    assert not list(folder.rglob("*.key")) and not list(folder.rglob("*key*.pem"))

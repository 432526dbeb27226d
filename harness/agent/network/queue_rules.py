"""The rules that send arriving packets to the links' helper (`queue_thread`): nft's own `queue` if the kernel has it, otherwise iptables' NFQUEUE.

Packets are queued before the firewall's cuts (prerouting), so that a delayed packet meets the cuts that are active at its arrival. Packets that
control the host, and IPv6 neighbour discovery (the equivalent of ARP), are never queued. Rules bypass a queue without a holder.

iptables creates its table `mangle` if there was none; it is removed again if it has no rules of other programs.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import subprocess
from collections.abc import Iterable
from typing import Any

from . import nft
from .queue_thread import QUEUE

TABLE = "tribulation_links"
CHAIN = "TRIBULATION"
FAMILIES = {"ip": ("iptables", 4), "ip6": ("ip6tables", 6)}
DISCOVERY = ("133", "134", "135", "136")
WAIT = ("-w", "5")
PRIORITY = -150
Json = dict[str, Any]


def way() -> str | None:
    """Return `nft` or `iptables`, tested with a rule that matches nothing; None if neither works."""
    if nft.accepts(nft_rules(["192.0.2.1"], ["192.0.2.2", 22])):
        return "nft"
    with contextlib.suppress(FileNotFoundError):
        before = tables()
        made = _run(["iptables-restore", *WAIT, "--noflush"], iptables_rules(4, ["192.0.2.1"], [], f"{CHAIN}_PROBE"))
        with contextlib.suppress(FileNotFoundError):
            _remove_chain("ip", f"{CHAIN}_PROBE", before)
        if made.returncode == 0:
            return "iptables"
    return None


def tables() -> list[str]:
    """Return the families that have a table `mangle`, which `remove` leaves. Empty if nft does not list them."""
    found = nft.tables()
    return [family for family in FAMILIES if f"{family} mangle" in found]


def apply(how: str, addresses: Iterable[str], control: list[Any], before: list[str]) -> None:
    """Queue packets from exactly these addresses, in one transaction per family. `before`: the result of `tables` before the first call."""
    wanted = sorted({address.partition("%")[0] for address in addresses})
    if not wanted:
        remove(how, before)
    elif how == "nft":
        nft.load(nft_rules(wanted, control), f"the table inet {TABLE}")
    else:
        for tool, version in FAMILIES.values():
            chosen = [address for address in wanted if ipaddress.ip_address(address).version == version]
            there = _run([tool, *WAIT, "-t", "mangle", "-S"]).stdout.splitlines()
            if chosen or f"-N {CHAIN}" in there:
                rules = iptables_rules(version, chosen, control, jump=f"-A PREROUTING -j {CHAIN}" not in there)
                _do([f"{tool}-restore", *WAIT, "--noflush"], rules)


def remove(how: str, before: list[str]) -> bool:
    """Remove the rules; return whether there were any."""
    if how == "nft":
        if f"inet {TABLE}" not in nft.tables():
            return False
        nft.load(f"delete table inet {TABLE}\n", f"to delete the table inet {TABLE}")
        return True
    return any([_remove_chain(family, CHAIN, before) for family in FAMILIES])


def nft_rules(addresses: list[str], control: list[Any]) -> str:
    lines = [f"add table inet {TABLE}", f"delete table inet {TABLE}", f"table inet {TABLE} {{"]
    lines += ["  chain arriving {", f"    type filter hook prerouting priority {PRIORITY}; policy accept;"]
    address, port = ipaddress.ip_address(control[0].partition("%")[0]), int(control[1])
    lines.append(f"    {'ip6' if address.version == 6 else 'ip'} saddr {address} tcp dport {port} accept")
    lines.append(f"    icmpv6 type {{ {', '.join(DISCOVERY)} }} accept")
    for family, (_, version) in FAMILIES.items():
        chosen = [each for each in addresses if ipaddress.ip_address(each).version == version]
        if chosen:
            lines.append(f"    {family} saddr {{ {', '.join(chosen)} }} queue num {QUEUE} bypass")
    return "\n".join([*lines, "  }", "}", ""])


def iptables_rules(
    version: int, addresses: list[str], control: list[Any], chain: str = CHAIN, *, jump: bool = False
) -> str:
    """Return the input for iptables-restore that gives the chain exactly these rules; `jump` leads packets there."""
    lines = ["*mangle", f":{chain} - [0:0]"]
    if control and ipaddress.ip_address(control[0].partition("%")[0]).version == version:
        lines.append(f"-A {chain} -s {control[0].partition('%')[0]} -p tcp --dport {int(control[1])} -j RETURN")
    if version == 6:
        lines += [f"-A {chain} -p ipv6-icmp -m icmp6 --icmpv6-type {kind} -j RETURN" for kind in DISCOVERY]
    lines += [f"-A {chain} -s {address} -j NFQUEUE --queue-num {QUEUE} --queue-bypass" for address in addresses]
    lines += [f"-I PREROUTING -j {chain}"] if jump else []
    return "\n".join([*lines, "COMMIT", ""])


def _remove_chain(family: str, chain: str, before: list[str]) -> bool:
    tool = FAMILIES[family][0]
    try:
        there = _run([tool, *WAIT, "-t", "mangle", "-S"]).stdout.splitlines()
    except FileNotFoundError:
        return False
    if f"-N {chain}" not in there:
        return False
    jumps = [line for line in there if line == f"-A PREROUTING -j {chain}"]
    lines = ["*mangle", *(f"-D {line.removeprefix('-A ')}" for line in jumps), f"-F {chain}", f"-X {chain}", "COMMIT"]
    _do([f"{tool}-restore", *WAIT, "--noflush"], "\n".join([*lines, ""]))
    if family not in before and _is_bare(family):
        _run(["nft", "delete", "table", family, "mangle"])
    return True


def _is_bare(family: str) -> bool:
    """Return whether the table has only the built-in chains, and no rule in them."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        listed = json.loads(_run(["nft", "-j", "list", "table", family, "mangle"]).stdout)["nftables"]
        kinds = [(next(iter(entry)), entry) for entry in listed if "metainfo" not in entry]
        return all(kind == "table" or (kind == "chain" and "hook" in entry["chain"]) for kind, entry in kinds)
    return False


def _run(command: list[str], stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=10)


def _do(command: list[str], stdin: str | None = None) -> None:
    done = _run(command, stdin)
    if done.returncode != 0:
        raise RuntimeError(f"`{' '.join(command)}`: {done.stderr.strip()}")

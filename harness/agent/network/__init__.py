"""Packets: nftables, netem, NFQUEUE, connections, probes."""

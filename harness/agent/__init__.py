"""The agent that carries out faults on one host: stdlib only, shipped as one zipapp, and able to undo everything without the harness.

It knows nothing of campaigns or of other hosts' faults. It receives the desired state of its host, part by part (`faults`), and changes the host to it.
Everything that it makes active is recorded before it acts (`state/store`), and a detached watchdog (`watchdog`) undoes it when the harness has not
renewed its lease.
"""

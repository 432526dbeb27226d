"""The agent that carries out faults on one host: stdlib only, shipped as one zipapp, and able to undo everything without the harness.

It knows nothing of campaigns or of other hosts' faults. It is given the addresses to drop, whether its one process must be killed or
paused, and the offset of the wall clock, and it makes the host so. Everything it makes active is written down before it acts
(`store`), and a detached watchdog (`watchdog`) undoes it when the harness has not renewed its lease.
"""

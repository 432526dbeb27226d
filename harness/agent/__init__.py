"""The agent that carries out faults on one host: stdlib only, shipped as one zipapp, and able to undo everything without the harness.

It knows nothing of campaigns or of other hosts' faults: it is told which addresses to drop, whether its one process shall be killed or
paused, and by how much the wall clock shall be off, and it makes the host so. What it puts in force is written down before it acts
(`store`), and a detached watchdog (`watchdog`) undoes it when the harness has not renewed its lease.
"""

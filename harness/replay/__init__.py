"""Replay: what was recorded happens again, and where it does not, the first place is named.

| what was recorded | how it happens again | label |
|---|---|---|
| a simulated run | its plan, in the simulator | equal digests |
| the inputs of nodes on real hosts | each core by itself | tier A |
| the same | all cores together, by who sent what to whom | tier B |
| a run of the reference cluster, or a bare history | the same operations and faults in the simulator, over many seeds | tier C |
"""

"""Replay: repeats a recording, and names the first place where the repetition differs.

| what was recorded | how it is repeated | label |
|---|---|---|
| a simulated run | its plan, in the simulator | equal digests |
| the inputs of nodes on real hosts | each core by itself | tier A |
| the same | all cores together, with each message taken from its sender | tier B |
| a run of the reference cluster, or a bare history | the same operations and faults in the simulator, over many seeds | tier C |
"""

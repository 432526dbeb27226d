"""The loop of a node: inputs to the core, effects to the drivers, timers and tasks."""

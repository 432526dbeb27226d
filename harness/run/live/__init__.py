"""View of a run while it goes on: figures, and early findings. Nothing here decides anything."""

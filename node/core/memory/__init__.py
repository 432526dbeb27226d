"""Agent memory: episodes, facts and skill profiles that every node may change at any time (docs/concepts/memory.md)."""

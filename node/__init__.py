"""The reference node: a pure core, and separately the runtime that gives it sockets, a clock and a disk."""

if __name__ != "tribulation.node":
    raise ImportError(f"{__name__!r} is a part of tribulation\n\nhint: import tribulation.node", name=__name__)

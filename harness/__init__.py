"""The harness: campaigns, hosts, deployment, workloads, nemesis, runner, simulator, report and the command `tri`."""

if __name__ != "tribulation.harness":
    raise ImportError(f"{__name__!r} is a part of tribulation\n\nhint: import tribulation.harness", name=__name__)

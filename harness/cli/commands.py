"""The commands of `tri` by group: module, purpose, one example. A module is imported when its command is used."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """`module` is relative to this folder; `example` is printed at the end of the command's `--help`."""

    module: str
    purpose: str
    example: str


GROUPS: dict[str, dict[str, Entry]] = {
    "Run": {
        "demo": Entry("machines.demo", "Run the demonstration: five local hosts, faults, a verdict.", "tri demo"),
        "run": Entry(
            "runs.run",
            "Run a campaign: hosts, deployment, clients, faults, checks.",
            "tri run quickstart --hosts sim --seed 7",
        ),
        "search": Entry(
            "runs.search",
            "Try many seeds in the simulator, and report what fails.",
            "tri search quickstart --seeds 100",
        ),
    },
    "Judge and explain": {
        "check": Entry("runs.check", "Check a recorded run or history again.", "tri check runs/latest --explain"),
        "compare": Entry(
            "runs.compare",
            "Compare two runs: verdicts, faults, rates, latencies.",
            "tri compare runs/a/latest runs/b/latest",
        ),
        "report": Entry("runs.report", "Write the report page of a run.", "tri report runs/latest"),
        "replay": Entry(
            "runs.replay", "Repeat a recorded run, and report how exactly it repeats.", "tri replay runs/latest"
        ),
        "shrink": Entry("runs.shrink", "Make a failing run or history as small as possible.", "tri shrink runs/latest"),
        "explain": Entry(
            "runs.explain_run", "Explain a failing simulated run by similar runs that pass.", "tri explain runs/latest"
        ),
        "export": Entry("archives.packing", "Pack a run into one archive.", "tri export runs/latest run.tar.gz"),
        "import": Entry("archives.unpacking", "Unpack a run that was exported elsewhere.", "tri import run.tar.gz"),
        "convert": Entry("runs.convert", "Write a history in another format.", "tri convert history.edn history.jsonl"),
    },
    "Look up": {
        "list": Entry(
            "catalogue.listing", "List campaigns, workloads, faults, checkers, flaws or runs.", "tri list faults"
        ),
        "show": Entry(
            "catalogue.show",
            "Show a fault, workload, checker or flaw: fields, defaults, needs.",
            "tri show fault partition",
        ),
        "upgrade": Entry(
            "runs.upgrade", "Rewrite campaigns of an older version for this one.", "tri upgrade mine.yaml"
        ),
        "completion": Entry("completion", "Print the shell's completion script.", 'eval "$(tri completion bash)"'),
    },
    "Your own system": {
        "new": Entry("machines.new", "Write an adapter for a system of your own.", "tri new system mydb"),
        "try": Entry(
            "machines.try_system", "Exercise an adapter, and report what is wrong with it.", "tri try mydb.py"
        ),
    },
    "Hosts": {
        "doctor": Entry("machines.doctor", "Test what the hosts support.", "tri doctor quickstart --hosts local"),
        "hosts": Entry("machines.hosts", "Bring hosts up or down, or list labs.", "tri hosts up --nodes 3"),
        "heal": Entry("machines.heal", "Undo every fault that may still be active.", "tri heal"),
    },
    "Reference cluster": {
        "deploy": Entry(
            "machines.deploy", "Deploy the reference cluster to an inventory's hosts.", "tri deploy up machines.yaml"
        ),
        "nodes": Entry("machines.nodes", "Show the nodes of a running cluster.", "tri nodes --host 10.0.0.1"),
        "cluster-bench": Entry(
            "machines.cluster_bench", "Run the cluster's 24 scenarios and measure them.", "tri cluster-bench --only 1,4"
        ),
    },
}

COMMANDS: dict[str, Entry] = {name: entry for group in GROUPS.values() for name, entry in group.items()}

ALIASES = {
    "cluster": ("demo", "cluster"),
    "cluster-demo": ("demo", "cluster"),
    "nodes-demo": ("demo", "cluster"),
    "nodes-bench": ("cluster-bench",),
}
"""Other names of commands, with the words that they stand for."""

"""The cluster under faults as the nemesis sees it: control, clocks, reachability."""
